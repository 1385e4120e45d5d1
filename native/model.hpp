// Sizes and weights of a model. The names of the weights are those of the Python modules.
#pragma once
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "gemm.hpp"

namespace mlff {

constexpr int kLmax = 4;
constexpr int kMaxHeads = 64;

/// What a model is made of; channels are padded but where the name says `real`. The order is that of layout.py.
struct Sizes {
    int32_t lmax, mmax, layers, species;
    int32_t channels, channels_real;  // C of node features
    int32_t message;                  // H, channels of the features that meet on an edge
    int32_t hidden;                   // Q, channels between the two convolutions
    int32_t heads, alpha, value;      // attention heads, logit features (real) and value channels (real) of each
    int32_t logits, values;           // heads times the two, padded
    int32_t ffn, head;                // channels inside the feed-forward network and the energy head
    int32_t points;                   // of the sphere grid
    int32_t attention, attention_norm, merged_norm, parity, product, scalars_only, repulsion;
    double cutoff, energy_scale, energy_offset;

    int rows() const { return (lmax + 1) * (lmax + 1); }
};

/// Weights by name, as they come from Python: padded, in float64.
class Weights {
   public:
    void add(const std::string& name, const double* values, size_t count) {
        named_[name] = std::vector<double>(values, values + count);
    }
    template <class T>
    std::vector<T> take(const std::string& name, size_t count) const {
        auto found = named_.find(name);
        if (found == named_.end()) throw std::invalid_argument("no weight " + name);
        if (found->second.size() != count)
            throw std::invalid_argument(name + " has " + std::to_string(found->second.size()) + " values, not " +
                                        std::to_string(count));
        return std::vector<T>(found->second.begin(), found->second.end());
    }
    template <class T>
    Linear<T> linear(const std::string& name, int out, int in, bool bias) const {
        Linear<T> map(out, in, take<T>(name + ".weight", size_t(out) * in).data());
        if (bias) map.bias = take<T>(name + ".bias", out);
        return map;
    }

   private:
    std::map<std::string, std::vector<double>> named_;
};

/// SO3Linear: one matrix per degree, a bias on l = 0.
template <class T>
struct SO3Linear {
    std::vector<Linear<T>> degrees;
    SO3Linear() = default;
    SO3Linear(const Weights& weights, const std::string& name, int lmax, int out, int in) {
        auto all = weights.take<T>(name + ".weight", size_t(lmax + 1) * out * in);
        for (int l = 0; l <= lmax; l++) degrees.emplace_back(out, in, all.data() + size_t(l) * out * in);
        degrees[0].bias = weights.take<T>(name + ".bias", out);
    }
    int lmax() const { return int(degrees.size()) - 1; }
};

/// MergedLayerNorm, or nothing where weight is empty.
template <class T>
struct Norm {
    int lmax = 0;
    std::vector<T> weight, bias;
    Norm() = default;
    Norm(const Weights& weights, const std::string& name, const Sizes& sizes, int lmax) : lmax(lmax) {
        if (!sizes.merged_norm) return;
        weight = weights.take<T>(name + ".weight", size_t(lmax + 1) * sizes.channels);
        bias = weights.take<T>(name + ".bias", sizes.channels);
    }
};

/// SO2Convolution: linear0 on m = 0, then one map for each m.
template <class T>
struct SO2Convolution {
    Linear<T> linear0;
    std::vector<Linear<T>> linears;
    SO2Convolution() = default;
    SO2Convolution(const Weights& weights, const std::string& name, const Sizes& s, int mmax, int in, int out,
                   int extra, bool scalars) {
        linear0 =
            weights.linear<T>(name + ".linear0", extra + (scalars ? 1 : s.lmax + 1) * out, (s.lmax + 1) * in, true);
        for (int m = 1; m <= mmax && !scalars; m++) {
            const int n = (s.lmax - m + 1) * (s.parity ? 1 : 2);  // without parity ±m are mixed by one matrix
            linears.push_back(weights.linear<T>(name + ".linears." + std::to_string(m - 1), n * out, n * in, false));
        }
    }
};

/// TransformerBlock.
template <class T>
struct Block {
    bool scalars_only = false;
    int mmax = 0;
    Norm<T> norm1, norm2;
    SO3Linear<T> source_map, target_map, projection;
    SO2Convolution<T> conv1, conv2;
    std::vector<T> alpha_weight, alpha_bias, alpha_dot, null_logit;
    SO3Linear<T> input, output;  // of the feed-forward network
    Linear<T> gate, scalar_mlp;

    Block(const Weights& w, const std::string& name, const Sizes& s, bool scalars_only)
        : scalars_only(scalars_only), mmax(scalars_only ? 0 : s.mmax) {
        const std::string a = name + "attention.", f = name + "feed_forward.";
        const int lmax_out = scalars_only ? 0 : s.lmax;
        norm1 = Norm<T>(w, name + "norm1", s, s.lmax);
        norm2 = Norm<T>(w, name + "norm2", s, s.lmax);
        source_map = SO3Linear<T>(w, a + "merge.source_map", s.lmax, s.message, s.channels);
        target_map = SO3Linear<T>(w, a + "merge.target_map", s.lmax, s.message, s.channels);
        conv1 = SO2Convolution<T>(w, a + "conv1", s, mmax, s.message, s.hidden, s.logits + s.lmax * s.hidden, false);
        conv2 = SO2Convolution<T>(w, a + "conv2", s, mmax, s.hidden, s.values, 0, scalars_only);
        projection = SO3Linear<T>(w, a + "projection", lmax_out, s.channels, s.values);
        if (s.attention) {
            alpha_dot = w.take<T>(a + "alpha_dot", size_t(s.logits));
            null_logit = w.take<T>(a + "null_logit", s.heads);
            if (s.attention_norm) {
                alpha_weight = w.take<T>(a + "alpha_norm.weight", s.logits / s.heads);
                alpha_bias = w.take<T>(a + "alpha_norm.bias", s.logits / s.heads);
            }
        }
        const int lmax_in = scalars_only && !s.product ? 0 : s.lmax;
        input = SO3Linear<T>(w, f + "input", lmax_in, s.product ? 2 * s.ffn : s.ffn, s.channels);
        output = SO3Linear<T>(w, f + "output", lmax_out, s.channels, s.ffn);
        if (s.product) scalar_mlp = w.linear<T>(f + "scalar_mlp", 2 * s.ffn, s.channels, true);
        if (s.product) scalar_out = w.linear<T>(f + "scalar_out", s.channels, s.ffn, false);
        if (s.product || !scalars_only)
            gate = w.linear<T>(f + "gate", s.product ? s.ffn : s.lmax * s.ffn, s.channels, true);
    }
    Linear<T> scalar_out;  // output of l = 0 without grid_out, which is folded into `output`
};

/// Radial functions of one pair of elements: f, h f' and h² f'' at knots h apart, [knots, 3, width]; see radial.hpp.
template <class T>
struct Table {
    int intervals = 0;
    std::vector<T> values;
};

/// J_a of rotations about a = x, y, z: entry [row, column] = -[column, row] = value.
template <class T>
struct Generator {
    int row, column, axis;
    T value;
};

/// C of (l-1, 1, l): entry [row, column] with row = 3 i + k.
template <class T>
struct Coupling {
    int row, column;
    T value;
};

template <class T>
struct Workspace;

template <class T>
class Model {
   public:
    Model(const Sizes& s, const Weights& w) : sizes(s) {
        if (s.lmax < 1 || s.lmax > kLmax || s.mmax < 0 || s.mmax > s.lmax || s.layers < 1 || s.species < 1 ||
            s.heads < 1 || s.heads > kMaxHeads)
            throw std::invalid_argument("sizes out of range");
        embedding = w.take<T>("embedding", size_t(s.species) * s.channels);
        reference = w.take<double>("reference_energies", s.species);
        const auto all = w.take<double>("couplings", couplings_size(s.lmax));
        for (int l = 2, at = 0; l <= s.lmax; l++)
            for (int i = 0; i < 3 * (2 * l - 1) * (2 * l + 1); i++, at++)
                if (std::abs(all[at]) > 1e-12) couplings[l].push_back({i / (2 * l + 1), i % (2 * l + 1), T(all[at])});
        for (int i = 0; i < s.layers; i++)
            blocks.emplace_back(w, "blocks." + std::to_string(i) + ".", s, s.scalars_only && i == s.layers - 1);
        norm = Norm<T>(w, "norm", s, s.scalars_only ? 0 : s.lmax);
        head_in = w.linear<T>("head.0", s.head, s.channels, true);
        head_out = w.take<T>("head.2.weight", s.head);
        head_bias = w.take<T>("head.2.bias", 1)[0];
        if (s.product) {
            to_grid = w.take<T>("to_grid", size_t(s.points) * s.rows());
            from_grid = w.take<T>("from_grid", size_t(s.points) * s.rows());
        }
        if (s.repulsion) {
            charges = w.take<double>("charges", s.species);
            radii = w.take<double>("radii", s.species);
            zbl = w.take<double>("zbl", 10);
        }
        auto flat = w.take<double>("generators", size_t(4) * w.take<double>("num_generators", 1)[0]);
        for (size_t i = 0; i < flat.size(); i += 4) {
            generators.push_back({int(flat[i]), int(flat[i + 1]), int(flat[i + 2]), T(flat[i + 3])});
            const auto& g = generators.back();
            if (g.row < 0 || g.row >= s.rows() || g.column < 0 || g.column >= s.rows() || g.axis < 0 || g.axis > 2)
                throw std::invalid_argument("generators out of range");
        }
        tables = std::vector<std::atomic<const Table<T>*>>(size_t(s.layers + 1) * pairs());
    }

    int pairs() const { return sizes.species * sizes.species; }
    /// Width of the radial functions of the degree embedding (0) or of layer - 1.
    int width(int layer) const { return (sizes.lmax + 1) * (layer ? 2 * sizes.message : sizes.channels); }
    const Table<T>* table(int layer, int pair) const {
        return tables[size_t(layer) * pairs() + pair].load(std::memory_order_acquire);
    }
    /// Keep a table; one that is there already stays.
    void set_table(int layer, int pair, int intervals, const double* values) {
        if (layer < 0 || layer > sizes.layers || pair < 0 || pair >= pairs() || intervals < 1)
            throw std::invalid_argument("table out of range");
        auto made = std::make_unique<Table<T>>();
        made->intervals = intervals;
        made->values.assign(values, values + size_t(intervals + 1) * 3 * width(layer));
        std::lock_guard<std::mutex> guard(lock_);
        auto& slot = tables[size_t(layer) * pairs() + pair];
        if (slot.load()) return;
        slot.store(made.get(), std::memory_order_release);
        kept_.push_back(std::move(made));
    }
    /// Memory for one evaluation, used again by the next.
    std::unique_ptr<Workspace<T>> borrow() {
        std::lock_guard<std::mutex> guard(lock_);
        if (idle_.empty()) return std::make_unique<Workspace<T>>();
        auto found = std::move(idle_.back());
        idle_.pop_back();
        return found;
    }
    void give_back(std::unique_ptr<Workspace<T>> workspace) {
        std::lock_guard<std::mutex> guard(lock_);
        if (idle_.size() < 2) idle_.push_back(std::move(workspace));
    }
    static int couplings_size(int lmax) {
        int total = 0;
        for (int l = 2; l <= lmax; l++) total += 3 * (2 * l - 1) * (2 * l + 1);
        return total;
    }

    Sizes sizes;
    std::vector<Coupling<T>> couplings[kLmax + 1];
    std::vector<T> embedding, to_grid, from_grid;  // grid matrices [points, rows], from_grid transposed
    std::vector<double> reference, charges, radii, zbl;
    std::vector<Block<T>> blocks;
    Norm<T> norm;
    Linear<T> head_in;
    std::vector<T> head_out;
    T head_bias;
    std::vector<Generator<T>> generators;
    std::vector<std::atomic<const Table<T>*>> tables;

   private:
    std::mutex lock_;
    std::vector<std::unique_ptr<Table<T>>> kept_;
    std::vector<std::unique_ptr<Workspace<T>>> idle_;
};

}  // namespace mlff
