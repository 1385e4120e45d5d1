// Energy and gradient of a graph. One pass over the blocks of atoms per layer forwards, one per layer backwards.
#pragma once
#include "attention.hpp"
#include "feed_forward.hpp"
#include "graph.hpp"
#include "radial.hpp"
#include "repulsion.hpp"
#include "so2.hpp"
#include "threads.hpp"

namespace mlff {

/// Memory that grows and is kept.
template <class T>
class Arena {
   public:
    void reserve(size_t count) {
        if (count + kAlign > memory_.size()) {
            std::vector<T>().swap(memory_);
            memory_.resize(count + kAlign);
        }
        used_ = 0;
    }
    static size_t rounded(size_t count) { return (count + kPad - 1) / kPad * kPad; }
    T* take(size_t count) {
        T* start = memory_.data() + used_;
        const size_t off = (reinterpret_cast<uintptr_t>(start) % kAlign) / sizeof(T);
        if (used_ == 0 && off) used_ = kAlign / sizeof(T) - off, start = memory_.data() + used_;
        used_ += rounded(count);
        return start;
    }

   private:
    std::vector<T> memory_;
    size_t used_ = 0;
};

/// What the backward pass needs of one layer.
template <class T>
struct LayerState {
    T *before, *between;  // [N, rows, C] features before the attention and before the feed-forward network
    T *source, *target;   // [N, rows, H] mapped features
    T* preactivation;     // order blocks of conv1 by chunk
    T* values;            // order blocks of conv2 by chunk
    T* shares;            // [E, heads] softmax without envelopes
    FeedForwardState<T> feed_forward;
};

/// Memory of one thread for one chunk or block.
template <class T>
struct Scratch {
    T *rows, *more, *other;    // order blocks of a chunk
    T *weights, *by_weight;    // [chunk, heads]
    T* by_envelope;            // [chunk]
    T *edge, *edge2, *edge3;   // rows of one edge
    T *radial, *by_radial;     // radial weights of one edge
    T *channel_weight, *work;  // [values], [2 lmax hidden + logits]
    T *normed, *gradient;      // [block, rows, C]
    T* sum;                    // [block, rows, values]
    T* inner;                  // of the feed-forward network
    T* by_source[2];           // [N, rows, H], sums over the edges of this thread
};

template <class T>
struct Workspace {
    Graph<T> graph;
    Arena<T> arena;
    std::vector<LayerState<T>> layers;
    std::vector<Scratch<T>> scratch;
    T *features, *by_features, *by_target, *by_edge;
    T* atom_energy;
};

template <class T>
class Evaluation {
   public:
    Evaluation(const Model<T>& model, Workspace<T>& space, Output& out, int threads)
        : model(model),
          s(model.sizes),
          g(space.graph),
          w(space),
          out(out),
          threads(threads),
          backward(out.forces || out.virial) {
        allocate();
    }

    void run() {
        Barrier barrier(threads);
        in_parallel(threads, [&](int rank) {
            each_block(rank, [&](const AtomBlock& b, Scratch<T>& t) { embed(b, t); });
            for (int i = 0; i < s.layers; i++) {
                barrier.wait();
                each_block(rank, [&](const AtomBlock& b, Scratch<T>& t) { layer_forward(i, b, t); });
            }
            if (!backward) return;
            for (int i = s.layers - 1; i >= 0; i--) {
                barrier.wait();
                clear_sources(i, w.scratch[rank]);  // others read it two layers ago
                each_block(rank, [&](const AtomBlock& b, Scratch<T>& t) { layer_backward(i, b, t); });
            }
            barrier.wait();
            each_block(rank, [&](const AtomBlock& b, Scratch<T>& t) { embed_backward(b, t); });
        });
    }

    const T* by_edge() const { return w.by_edge; }
    const T* atom_energy() const { return w.atom_energy; }

   private:
    // --- memory -----------------------------------------------------------------------------------------------------
    Orders merged(const Block<T>& b) const { return {s.lmax, b.mmax, s.message, 0}; }
    Orders preactivation(const Block<T>& b) const { return {s.lmax, b.mmax, s.hidden, s.logits + s.lmax * s.hidden}; }
    Orders activated(const Block<T>& b) const { return {s.lmax, b.mmax, s.hidden, 0}; }
    Orders values(const Block<T>& b) const {
        return b.scalars_only ? Orders{0, 0, s.values, 0} : Orders{s.lmax, b.mmax, s.values, 0};
    }
    Orders degree_orders() const { return {s.lmax, 0, s.channels, 0}; }

    void allocate() {
        for (int pass = 0; pass < 2; pass++) {  // first count, then take
            size_t total = 0;
            auto take = [&](size_t count) -> T* {
                total += Arena<T>::rounded(count);
                return pass ? w.arena.take(count) : nullptr;
            };
            if (pass) w.arena.reserve(counted_);
            const size_t n = size_t(g.atoms), e = size_t(g.edges), rows = s.rows();
            w.features = take((s.layers > 0 ? n : 0) * rows * s.channels);
            w.by_features = take(n * rows * s.channels);
            w.by_target = take(n * rows * s.message);
            w.by_edge = take(3 * e);
            w.atom_energy = take(n);
            w.layers.resize(s.layers);
            for (int i = 0; i < s.layers; i++) {
                const Block<T>& b = model.blocks[i];
                LayerState<T>& l = w.layers[i];
                l.before = take(n * rows * s.channels);
                l.between = take(n * rows * s.channels);
                l.source = take(n * rows * s.message);
                l.target = take(n * rows * s.message);
                l.preactivation = take(e * preactivation(b).size());
                l.values = take(e * values(b).size());
                l.shares = take(e * s.heads);
                l.feed_forward.rows = take(n * rows * (s.product ? 2 : 1) * s.ffn);
                l.feed_forward.gates = take(n * (s.product ? s.ffn : s.lmax * s.ffn));
                l.feed_forward.scalars = take(s.product ? n * 2 * s.ffn : 0);
                l.feed_forward.product = take(s.product ? n * rows * s.ffn : 0);
            }
            w.scratch.resize(threads);
            const size_t chunk = std::max(1, g.largest_chunk), block = g.largest_block;
            const int widest = std::max({s.channels, s.message, s.values, s.hidden});
            const size_t of_chunk = std::max(
                {size_t(preactivation(model.blocks[0]).size()), rows * widest, size_t(s.lmax + 1) * s.channels});
            for (auto& t : w.scratch) {
                t.rows = take(chunk * of_chunk), t.more = take(chunk * of_chunk), t.other = take(chunk * of_chunk);
                t.weights = take(chunk * s.heads), t.by_weight = take(chunk * s.heads), t.by_envelope = take(chunk);
                t.edge = take(rows * widest), t.edge2 = take(rows * widest), t.edge3 = take(rows * widest);
                t.radial = take(2 * (s.lmax + 1) * widest), t.by_radial = take(2 * (s.lmax + 1) * widest);
                t.channel_weight = take(s.values), t.work = take(2 * s.lmax * s.hidden + s.logits);
                t.normed = take(block * rows * s.channels), t.gradient = take(block * rows * s.channels);
                t.sum = take(block * rows * s.values);
                t.inner = take(block * (3 * rows + s.lmax + 2) * s.ffn + block * (s.channels + 2 * s.head));
                for (auto& sums : t.by_source) sums = take(backward ? n * rows * s.message : 0);
            }
            counted_ = total;
        }
    }

    template <class F>
    void each_block(int rank, F f) {
        for (int b = g.first_block[rank]; b < g.first_block[rank + 1]; b++) f(g.blocks[b], w.scratch[rank]);
    }
    Nodes<T> nodes(T* data, int64_t first, int channels) const { return {data, g.atoms, first, channels}; }
    const T* wigner(int64_t e) const { return &g.wigner[size_t(wigner_size(s.lmax)) * e]; }
    Knot<T> knot(int layer, int64_t e) const {
        if (e + 1 < g.edges)
            prefetch(*model.table(layer, g.pair[e + 1]), model.width(layer), g.distance[e + 1], T(s.cutoff));
        return Knot<T>(*model.table(layer, g.pair[e]), model.width(layer), g.distance[e], T(s.cutoff));
    }
    /// Weights of the heads [heads] to those of their channels [values].
    void spread(const T* heads, T* channels) const {
        for (int c = 0; c < s.values; c++) channels[c] = heads[std::min(c / s.value, s.heads - 1)];
    }

    // --- degree embedding -------------------------------------------------------------------------------------------
    /// x_i = embedding + Σ_e D_eᵀ u_e R(d_e), R on the m = 0 rows; 1 / avg_degree is in R.
    void embed(const AtomBlock& b, Scratch<T>& t) {
        const int atoms = int(b.last - b.first), width = (s.lmax + 1) * s.channels;
        const auto x = nodes(w.layers[0].before, b.first, s.channels);
        x.clear(s.lmax, atoms);
        g.frames(model, g.start[b.first], g.start[b.last]);
        for (int64_t i = b.first; i < b.last; i++) {
            add(s.channels, &model.embedding[size_t(species[i]) * s.channels], x.degree(0, i - b.first));
            for (int64_t e = g.start[i]; e < g.start[i + 1]; e++) {
                radial(knot(0, e), width, t.radial);
                for (int c = 0; c < width; c += kLanes<T>) store(t.radial + c, load(t.radial + c) * g.envelope[e]);
                rotate_back<T>(degree_orders(), wigner(e), t.radial, 1, 0, nullptr, t.edge);
                x.scatter_add(s.lmax, i - b.first, t.edge);
            }
        }
        map_features(0, b, t);
    }
    void embed_backward(const AtomBlock& b, Scratch<T>& t) {
        finish_features(0, b, t);
        const int width = (s.lmax + 1) * s.channels;
        const auto gx = nodes(w.by_features, 0, s.channels);
        for (int64_t i = b.first; i < b.last; i++) {
            gx.gather(s.lmax, i, t.edge);
            for (int64_t e = g.start[i]; e < g.start[i + 1]; e++) {
                const Knot<T> k = knot(0, e);
                radial(k, width, t.radial);
                rotate_back<T>(degree_orders(), wigner(e), t.radial, 1, 0, nullptr, t.edge2);
                add_torque(model.generators, s.channels, t.edge, t.edge2, -g.envelope[e], &g.torque[3 * e]);
                rotate(degree_orders(), wigner(e), t.edge, t.by_radial, 1, 0);
                g.by_distance[e] += dot(width, t.radial, t.by_radial) * g.envelope_slope[e] +
                                    radial_backward(k, width, t.by_radial) * g.envelope[e];
                edge_gradient(&g.torque[3 * e], &g.direction[3 * e], g.distance[e], g.by_distance[e],
                              w.by_edge + 3 * e);
            }
        }
    }

    // --- one layer --------------------------------------------------------------------------------------------------
    /// norm1 and the maps of source and target features.
    void map_features(int i, const AtomBlock& b, Scratch<T>& t) {
        const Block<T>& block = model.blocks[i];
        const int atoms = int(b.last - b.first);
        const Nodes<T> normed{t.normed, atoms, 0, s.channels};
        normalize(block.norm1, s.channels_real, atoms, nodes(w.layers[i].before, b.first, s.channels), normed);
        apply(block.source_map, atoms, normed, nodes(w.layers[i].source, b.first, s.message));
        apply(block.target_map, atoms, normed, nodes(w.layers[i].target, b.first, s.message));
    }

    void layer_forward(int i, const AtomBlock& b, Scratch<T>& t) {
        const Block<T>& block = model.blocks[i];
        const LayerState<T>& state = w.layers[i];
        const int atoms = int(b.last - b.first), lmax_out = block.projection.lmax();
        const Nodes<T> sum{t.sum, atoms, 0, s.values}, normed{t.normed, atoms, 0, s.channels};
        const auto x = nodes(state.before, b.first, s.channels), between = nodes(state.between, b.first, s.channels);
        sum.clear(lmax_out, atoms);
        for (const Chunk& chunk : b.chunks) attend(i, chunk, sum.from(chunk.first - b.first), t);
        x.copy_to(between, s.lmax, atoms);
        apply(block.projection, atoms, sum, between, true);
        const bool last = i == s.layers - 1;
        const auto after = nodes(last ? w.features : w.layers[i + 1].before, b.first, s.channels);
        between.copy_to(after, s.lmax, atoms);
        normalize(block.norm2, s.channels_real, atoms, between, normed);
        FeedForward<T>(model, block, state.feed_forward, g.atoms).forward(atoms, b.first, normed, after, t.inner);
        if (last)
            read_out(b, t);
        else
            map_features(i + 1, b, t);
    }

    /// EdgeMerge: x = D (R(d) ⊙ x_j + R'(d) ⊙ x_i), the weights by degree, those of the source before those of the
    /// target.
    void merge(const Nodes<T>& sources, int64_t j, const T* target, const T* weight, T* rows) const {
        const int h = s.message;
        for (int l = 0; l <= s.lmax; l++, weight += 2 * h) {
            const T* source = sources.degree(l, j);
            for (int k = 0; k < 2 * l + 1; k++, source += h, target += h, rows += h)
                for (int c = 0; c < h; c += kLanes<T>)
                    store(rows + c, load(source + c) * load(weight + c) + load(target + c) * load(weight + h + c));
        }
    }

    /// GraphAttention but for its projection: sum of messages at the targets of a chunk.
    void attend(int i, const Chunk& chunk, const Nodes<T>& sum, Scratch<T>& t) {
        const Block<T>& block = model.blocks[i];
        const LayerState<T>& state = w.layers[i];
        const Orders in = merged(block), pre = preactivation(block), act = activated(block), val = values(block);
        const int64_t first = g.start[chunk.first];
        const int n = int(g.start[chunk.last] - first);
        const auto sources = nodes(state.source, 0, s.message), targets = nodes(state.target, 0, s.message);
        for (int64_t a = chunk.first; a < chunk.last; a++) {
            targets.gather(s.lmax, a, t.edge2);
            for (int64_t e = g.start[a]; e < g.start[a + 1]; e++) {
                radial(knot(i + 1, e), model.width(i + 1), t.radial);
                merge(sources, g.source[e], t.edge2, t.radial, t.edge3);
                rotate(in, wigner(e), t.edge3, t.rows, n, int(e - first));
            }
        }
        T *pre_rows = state.preactivation + first * pre.size(), *value_rows = state.values + first * val.size();
        convolve(block.conv1, s.parity, n, in, t.rows, pre, pre_rows);
        gate(pre, n, pre_rows, act, t.more, t.work);
        convolve(block.conv2, s.parity, n, act, t.more, val, value_rows);
        for (int64_t a = chunk.first; a < chunk.last; a++) {
            const int at = int(g.start[a] - first), count = int(g.start[a + 1] - g.start[a]);
            attention_weights(block, s, count, pre_rows + size_t(at) * pre.stride(0), pre.stride(0),
                              &g.envelope[first + at], state.shares + (first + at) * s.heads, t.weights + at * s.heads,
                              t.work);
            for (int q = at; q < at + count; q++) {
                spread(t.weights + q * s.heads, t.channel_weight);
                rotate_back<T>(val, wigner(first + q), value_rows, n, q, t.channel_weight, t.edge);
                sum.scatter_add(val.lmax, a - chunk.first, t.edge);
            }
        }
    }

    /// Final norm and EnergyHead e = w₂ · SiLU(W₁ x + b₁) + b₂, and the gradient by the features.
    void read_out(const AtomBlock& b, Scratch<T>& t) {
        const int atoms = int(b.last - b.first), head = s.head;
        const auto x = nodes(w.features, b.first, s.channels);
        const Nodes<T> normed{t.normed, atoms, 0, s.channels}, gradient{t.gradient, atoms, 0, s.channels};
        T* hidden = t.inner;
        normalize(model.norm, s.channels_real, atoms, x, normed);
        apply(model.head_in, atoms, normed.degree(0), s.channels, hidden, head);
        for (int a = 0; a < atoms; a++) {
            Vec<T> energy = {};
            for (int c = 0; c < head; c += kLanes<T>) {
                const Vec<T> z = load(hidden + a * head + c), weight = load(&model.head_out[c]);
                const Vec<T> feature = silu<T>(z);
                energy += feature * weight;
                if (out.features) store(static_cast<T*>(out.features) + (b.first + a) * head + c, feature);
                store(hidden + a * head + c, silu_slope<T>(z) * weight);
            }
            w.atom_energy[b.first + a] = sum<T>(energy) + model.head_bias;
        }
        if (!backward) return;
        const auto gx = nodes(w.by_features, b.first, s.channels);
        gx.clear(s.lmax, atoms);
        apply_transposed(model.head_in, atoms, hidden, head, gradient.degree(0), s.channels);
        normalize_backward(model.norm, s.channels_real, atoms, x, gradient, gx, 0);
    }

    // --- the way back -----------------------------------------------------------------------------------------------
    void clear_sources(int i, Scratch<T>& t) {
        std::memset(t.by_source[i % 2], 0, sizeof(T) * size_t(g.atoms) * s.rows() * s.message);
    }

    /// What is left of layer i: through its maps and norm1 to the features that entered it.
    void finish_features(int i, const AtomBlock& b, Scratch<T>& t) {
        const Block<T>& block = model.blocks[i];
        const int atoms = int(b.last - b.first);
        const Nodes<T> gradient{t.gradient, atoms, 0, s.channels};
        const auto total = nodes(w.scratch[0].by_source[i % 2], b.first, s.message);
        for (int other = 1; other < threads; other++) {
            const auto part = nodes(w.scratch[other].by_source[i % 2], b.first, s.message);
            for (int l = 0; l <= s.lmax; l++) add(atoms * (2 * l + 1) * s.message, part.degree(l), total.degree(l));
        }
        apply_transposed(block.source_map, atoms, total, gradient);
        apply_transposed(block.target_map, atoms, nodes(w.by_target, b.first, s.message), gradient, true);
        normalize_backward(block.norm1, s.channels_real, atoms, nodes(w.layers[i].before, b.first, s.channels),
                           gradient, nodes(w.by_features, b.first, s.channels), s.lmax);
    }

    void layer_backward(int i, const AtomBlock& b, Scratch<T>& t) {
        if (i + 1 < s.layers) finish_features(i + 1, b, t);
        const Block<T>& block = model.blocks[i];
        const LayerState<T>& state = w.layers[i];
        const int atoms = int(b.last - b.first);
        const auto gx = nodes(w.by_features, b.first, s.channels);
        const Nodes<T> gradient{t.gradient, atoms, 0, s.channels}, gsum{t.sum, atoms, 0, s.values};
        FeedForward<T>(model, block, state.feed_forward, g.atoms).backward(atoms, b.first, gx, gradient, t.inner);
        normalize_backward(block.norm2, s.channels_real, atoms, nodes(state.between, b.first, s.channels), gradient, gx,
                           block.input.lmax());
        apply_transposed(block.projection, atoms, gx, gsum);
        nodes(w.by_target, b.first, s.message).clear(s.lmax, atoms);
        for (const Chunk& chunk : b.chunks) attend_backward(i, chunk, gsum.from(chunk.first - b.first), t);
    }

    void attend_backward(int i, const Chunk& chunk, const Nodes<T>& gsum, Scratch<T>& t) {
        const Block<T>& block = model.blocks[i];
        const LayerState<T>& state = w.layers[i];
        const Orders in = merged(block), pre = preactivation(block), act = activated(block), val = values(block);
        const int64_t first = g.start[chunk.first];
        const int n = int(g.start[chunk.last] - first);
        const T *pre_rows = state.preactivation + first * pre.size(), *value_rows = state.values + first * val.size();
        for (int64_t a = chunk.first; a < chunk.last; a++) {
            const int at = int(g.start[a] - first), count = int(g.start[a + 1] - g.start[a]);
            gsum.gather(val.lmax, a - chunk.first, t.edge);
            for (int q = at; q < at + count; q++)
                message_backward(first + q, val, value_rows, n, q, state.shares + (first + q) * s.heads, t);
            std::memset(t.by_envelope + at, 0, sizeof(T) * count);
            attention_backward(block, s, count, pre_rows + size_t(at) * pre.stride(0), pre.stride(0),
                               &g.envelope[first + at], state.shares + (first + at) * s.heads,
                               t.by_weight + at * s.heads, t.by_envelope + at, t.other + size_t(at) * pre.stride(0),
                               t.work);
        }
        convolve_backward(block.conv2, s.parity, n, val, t.rows, act, t.more);
        gate_backward(pre, n, pre_rows, act, t.more, t.other, t.work);
        convolve_backward(block.conv1, s.parity, n, pre, t.other, in, t.rows);
        for (int q = 0; q < n; q++) g.by_distance[first + q] += t.by_envelope[q] * g.envelope_slope[first + q];
        merge_backward(i, chunk, in, n, t);
    }

    /// From the gradient by the sum at the target (in t.edge) to those by values (t.rows) and weights (t.by_weight).
    void message_backward(int64_t e, const Orders& val, const T* value_rows, int n, int q, const T* shares,
                          Scratch<T>& t) {
        const T u = g.envelope[e];
        for (int h = 0; h < s.heads; h++) t.weights[h] = s.attention ? u * u * shares[h] : u;
        spread(t.weights, t.channel_weight);
        rotate(val, wigner(e), t.edge, t.rows, n, q);
        if (val.lmax > 0) {
            rotate_back<T>(val, wigner(e), value_rows, n, q, t.channel_weight, t.edge2);
            add_torque(model.generators, s.values, t.edge, t.edge2, T(-1), &g.torque[3 * e]);
        }
        for (int c = 0; c < s.values; c += kLanes<T>) {
            const Vec<T> weight = load(t.channel_weight + c);
            Vec<T> by_weight = {};
            for (int m = 0; m <= val.mmax; m++) {
                const int rows = (m ? 2 : 1) * val.degrees(m);
                const size_t at = size_t(n) * val.start(m) + size_t(q) * val.stride(m) + c;
                for (int k = 0; k < rows; k++) {
                    T* gradient = t.rows + at + k * s.values;
                    by_weight += load(gradient) * load(value_rows + at + k * s.values);
                    store(gradient, load(gradient) * weight);
                }
            }
            store(t.edge3 + c, by_weight);
        }
        for (int h = 0; h < s.heads; h++) {
            T total = 0;
            for (int c = h * s.value; c < (h + 1) * s.value; c++) total += t.edge3[c];
            t.by_weight[q * s.heads + h] = total;
        }
    }

    /// From the gradient by the merged rows in the edge frame (t.rows) to those by node features and radial weights.
    void merge_backward(int i, const Chunk& chunk, const Orders& in, int n, Scratch<T>& t) {
        const LayerState<T>& state = w.layers[i];
        const int h = s.message, size = s.rows() * h, width = model.width(i + 1);
        const int64_t first = g.start[chunk.first];
        const auto sources = nodes(state.source, 0, h), targets = nodes(state.target, 0, h);
        const auto by_source = nodes(t.by_source[i % 2], 0, h), by_target = nodes(w.by_target, 0, h);
        T *xi = t.edge3, *gi = t.more;  // whose order blocks are no longer needed
        for (int64_t a = chunk.first; a < chunk.last; a++) {
            targets.gather(s.lmax, a, xi);
            std::memset(gi, 0, sizeof(T) * size);
            for (int64_t e = g.start[a]; e < g.start[a + 1]; e++) {
                const Knot<T> k = knot(i + 1, e);
                radial(k, width, t.radial);
                merge(sources, g.source[e], xi, t.radial, t.edge);
                rotate_back<T>(in, wigner(e), t.rows, n, int(e - first), nullptr, t.edge2);
                add_torque(model.generators, h, t.edge2, t.edge, T(1), &g.torque[3 * e]);
                split_gradient(sources, by_source, g.source[e], xi, gi, t);
                g.by_distance[e] += radial_backward(k, width, t.by_radial);
            }
            by_target.scatter_add(s.lmax, a, gi);
        }
    }

    /// Of x = R x_j + R' x_i with the gradient g by x in t.edge2: g x_j and g x_i summed over orders into t.by_radial,
    /// R g added to the gradient by the source, R' g to that by the target, gi.
    void split_gradient(const Nodes<T>& sources, const Nodes<T>& by_source, int64_t j, const T* xi, T* gi,
                        Scratch<T>& t) const {
        const int h = s.message;
        for (int l = 0; l <= s.lmax; l++)
            for (int c = 0; c < h; c += kLanes<T>) {
                const Vec<T> of_source = load(t.radial + 2 * l * h + c);
                const Vec<T> of_target = load(t.radial + (2 * l + 1) * h + c);
                const T* xj = sources.degree(l, j) + c;
                T* gj = by_source.degree(l, j) + c;
                Vec<T> with_source = {}, with_target = {};
                for (int k = l * l; k < (l + 1) * (l + 1); k++, xj += h, gj += h) {
                    const Vec<T> gradient = load(t.edge2 + k * h + c);
                    with_source += gradient * load(xj);
                    with_target += gradient * load(xi + k * h + c);
                    store(gj, load(gj) + gradient * of_source);
                    store(gi + k * h + c, load(gi + k * h + c) + gradient * of_target);
                }
                store(t.by_radial + 2 * l * h + c, with_source);
                store(t.by_radial + (2 * l + 1) * h + c, with_target);
            }
    }

   public:
    const int32_t* species = nullptr;  // of the atoms

   private:
    const Model<T>& model;
    const Sizes& s;
    Graph<T>& g;
    Workspace<T>& w;
    Output& out;
    const int threads;
    const bool backward;
    size_t counted_ = 0;
};

/// Energies, forces and virial from the energies of atoms and the gradients by edge vectors.
template <class T>
void collect(const Model<T>& model, const Graph<T>& g, const Input& in, const T* atom_energy, const T* by_edge,
             Output& out) {
    const Sizes& s = model.sizes;
    std::vector<double> share(in.structures, 0.0);
    for (int64_t i = 0; i < g.atoms; i++) share[in.batch[i]] += 1;
    for (int64_t b = 0; b < in.structures; b++) out.energy[b] = 0, share[b] = s.energy_offset / std::max(share[b], 1.0);
    for (int64_t i = 0; i < g.atoms; i++)
        out.energies[i] = model.reference[in.species[i]] + s.energy_scale * double(atom_energy[i]) + share[in.batch[i]];
    if (out.forces) std::fill(out.forces, out.forces + 3 * g.atoms, 0.0);
    if (out.virial) std::fill(out.virial, out.virial + 9 * in.structures, 0.0);
    for (int64_t e = 0; e < g.edges; e++) {
        const int64_t i = g.target[e], j = g.source[e];
        const double* v = &g.vector[3 * e];
        const double d = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        double slope = 0;
        if (s.repulsion) {
            const int zj = in.species[j], zi = in.species[i];
            const double reach = std::min(model.radii[zj] + model.radii[zi], s.cutoff);
            out.energies[i] += 0.5 * repulsion(model.zbl, model.charges[zj], model.charges[zi], reach, d, &slope);
        }
        if (!out.forces && !out.virial) continue;
        double gradient[3];
        for (int k = 0; k < 3; k++) gradient[k] = s.energy_scale * double(by_edge[3 * e + k]) + 0.5 * slope * v[k] / d;
        for (int k = 0; k < 3; k++) {
            if (out.forces) out.forces[3 * i + k] += gradient[k], out.forces[3 * j + k] -= gradient[k];
            for (int c = 0; out.virial && c < 3; c++)
                out.virial[9 * in.batch[i] + 3 * k + c] += 0.5 * (v[k] * gradient[c] + v[c] * gradient[k]);
        }
    }
    for (int64_t i = 0; i < g.atoms; i++) out.energy[in.batch[i]] += out.energies[i];
}

template <class T>
Status evaluate(Model<T>& model, const Input& in, Output& out, int threads, std::string& message) {
    struct Borrowed {  // goes back whatever happens
        explicit Borrowed(Model<T>& model) : model(model), space(model.borrow()) {}
        ~Borrowed() { model.give_back(std::move(space)); }
        Model<T>& model;
        std::unique_ptr<Workspace<T>> space;
    } borrowed(model);
    Workspace<T>& space = *borrowed.space;
    threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, in.atoms)));
    if (const char* wrong = space.graph.build(model, in, out, threads)) {
        message = wrong;
        return kWrongInput;
    }
    if (space.graph.missing_tables(model, out.missing)) return kMissingTables;
    Evaluation<T> evaluation(model, space, out, threads);
    evaluation.species = in.species;
    evaluation.run();
    collect(model, space.graph, in, evaluation.atom_energy(), evaluation.by_edge(), out);
    return kDone;
}

}  // namespace mlff
