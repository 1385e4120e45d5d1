// ProductFeedForward (a gated product of two signals on the sphere) and GatedFeedForward, on a few atoms.
#pragma once
#include "gate.hpp"
#include "nodes.hpp"

namespace mlff {

/// What the backward pass needs, of all atoms: kept for each layer.
template <class T>
struct FeedForwardState {
    T* rows;     // input(x): [(lmax+1)², 2F] or [.., F], cut by degree
    T* gates;    // before the sigmoid, [N, F] or [N, lmax F]
    T* scalars;  // scalar_mlp(x), [N, 2F]; product only
    T* product;  // from the grid, before the gate, [N, rows, F]; product only
};

/// y_k = Σ_p B_pk f_p g_p with f = A x, g = A x' for one atom and kLanes channels; A, B [points, rows].
template <class T, int L>
inline void grid_product(int points, const T* to, const T* from, int rows, const Vec<T>* x, Vec<T>* y) {
    constexpr int size = (L + 1) * (L + 1);
    for (int k = 0; k < rows; k++) y[k] = Vec<T>{};
    for (int p = 0; p < points; p++, to += size, from += size) {
        Vec<T> f = {}, g = {};
        for (int k = 0; k < size; k++) f += to[k] * x[k], g += to[k] * x[size + k];
        const Vec<T> value = f * g;
        for (int k = 0; k < rows; k++) y[k] += from[k] * value;
    }
}

/// Gradients by both signals, gx [2, rows].
template <class T, int L>
inline void grid_product_backward(int points, const T* to, const T* from, int rows, const Vec<T>* x, const Vec<T>* gy,
                                  Vec<T>* gx) {
    constexpr int size = (L + 1) * (L + 1);
    for (int k = 0; k < 2 * size; k++) gx[k] = Vec<T>{};
    for (int p = 0; p < points; p++, to += size, from += size) {
        Vec<T> f = {}, g = {}, value = {};
        for (int k = 0; k < size; k++) f += to[k] * x[k], g += to[k] * x[size + k];
        for (int k = 0; k < rows; k++) value += from[k] * gy[k];
        f *= value, g *= value;
        for (int k = 0; k < size; k++) gx[k] += to[k] * g, gx[size + k] += to[k] * f;
    }
}

/// Calls f with the degree as a constant.
template <class F>
inline void with_lmax(int lmax, F f) {
    switch (lmax) {
        case 1: f(std::integral_constant<int, 1>()); break;
        case 2: f(std::integral_constant<int, 2>()); break;
        case 3: f(std::integral_constant<int, 3>()); break;
        default: f(std::integral_constant<int, 4>());
    }
}

template <class T>
class FeedForward {
   public:
    FeedForward(const Model<T>& model, const Block<T>& block, const FeedForwardState<T>& state, int64_t total)
        : s(model.sizes), model(model), block(block), state(state), total(total) {}

    /// y += F(x) of atoms first ...; `inner` is memory for [rows, F] of these atoms.
    void forward(int atoms, int64_t first, const Nodes<T>& x, const Nodes<T>& y, T* inner) const {
        const Nodes<T> rows{state.rows, total, first, s.product ? 2 * s.ffn : s.ffn}, in{inner, atoms, 0, s.ffn};
        apply(block.input, atoms, x, rows);
        if (s.product || !block.scalars_only)
            apply(block.gate, atoms, x.degree(0), x.channels, gates(first), block.gate.out());
        if (s.product) {
            apply(block.scalar_mlp, atoms, x.degree(0), x.channels, scalars(first), 2 * s.ffn);
            with_lmax(s.lmax, [&](auto l) { product_forward<decltype(l)::value>(atoms, first, rows, in); });
            apply(block.output, atoms, in, y, true);
            for (int a = 0; a < atoms; a++)
                for (int c = 0; c < s.ffn; c += kLanes<T>)
                    store(in.degree(0, a) + c,
                          silu<T>(load(scalars(first + a) + c)) * load(scalars(first + a) + s.ffn + c));
            apply(block.scalar_out, atoms, in.degree(0), s.ffn, y.degree(0), y.channels, true);
            return;
        }
        for (int a = 0; a < atoms; a++)
            for (int l = 0; l <= block.output.lmax(); l++)
                for (int i = 0; i < (2 * l + 1) * s.ffn; i += kLanes<T>) {
                    const Vec<T> value = load(rows.degree(l, a) + i);
                    const T* g = gates(first + a) + (l - 1) * s.ffn + i % s.ffn;
                    store(in.degree(l, a) + i, l == 0 ? silu<T>(value) : value * sigmoid<T>(load(g)));
                }
        apply(block.output, atoms, in, y, true);
    }

    /// gx = dF/dx gy. `work` is memory for [rows, 3F] and [lmax+2, F] of these atoms.
    void backward(int atoms, int64_t first, const Nodes<T>& gy, const Nodes<T>& gx, T* work) const {
        const int width = s.product ? 2 * s.ffn : s.ffn, lmax_in = block.input.lmax();
        const Nodes<T> rows{state.rows, total, first, width}, gin{work, atoms, 0, s.ffn};
        const Nodes<T> grows{work + size_t(atoms) * s.rows() * s.ffn, atoms, 0, width};
        T* ggates = grows.data + size_t(atoms) * s.rows() * width;
        apply_transposed(block.output, atoms, gy, gin);
        if (s.product) {
            with_lmax(s.lmax,
                      [&](auto l) { product_backward<decltype(l)::value>(atoms, first, gin, rows, grows, ggates); });
        } else {
            std::memset(ggates, 0, sizeof(T) * atoms * s.lmax * s.ffn);
            for (int a = 0; a < atoms; a++)
                for (int l = 0; l <= block.output.lmax(); l++)
                    for (int i = 0; i < (2 * l + 1) * s.ffn; i += kLanes<T>) {
                        const Vec<T> value = load(rows.degree(l, a) + i), g = load(gin.degree(l, a) + i);
                        const int at = (l - 1) * s.ffn + i % s.ffn;
                        if (l == 0) {
                            store(grows.degree(l, a) + i, g * silu_slope<T>(value));
                            continue;
                        }
                        const Vec<T> open = sigmoid<T>(load(gates(first + a) + at));
                        T* gg = ggates + size_t(a) * s.lmax * s.ffn + at;
                        store(gg, load(gg) + g * value * open * (T(1) - open));
                        store(grows.degree(l, a) + i, g * open);
                    }
        }
        apply_transposed(block.input, atoms, grows, gx);
        for (int l = lmax_in + 1; l <= s.lmax; l++)
            std::memset(gx.degree(l), 0, sizeof(T) * size_t(atoms) * (2 * l + 1) * gx.channels);
        if (s.product || !block.scalars_only)
            apply_transposed(block.gate, atoms, ggates, block.gate.out(), gx.degree(0), gx.channels, true);
        if (!s.product) return;
        apply_transposed(block.scalar_out, atoms, gy.degree(0), gy.channels, gin.degree(0), s.ffn);
        T* gscalars = grows.data;
        for (int a = 0; a < atoms; a++)
            for (int c = 0; c < s.ffn; c += kLanes<T>) {
                const Vec<T> swish = load(scalars(first + a) + c), g = load(gin.degree(0, a) + c);
                T* out = gscalars + size_t(a) * 2 * s.ffn + c;
                store(out, g * load(scalars(first + a) + s.ffn + c) * silu_slope<T>(swish));
                store(out + s.ffn, g * silu<T>(swish));
            }
        apply_transposed(block.scalar_mlp, atoms, gscalars, 2 * s.ffn, gx.degree(0), gx.channels, true);
    }

   private:
    T* gates(int64_t atom) const { return state.gates + atom * block.gate.out(); }
    T* scalars(int64_t atom) const { return state.scalars + atom * 2 * s.ffn; }
    int rows_out() const { return block.scalars_only ? 1 : s.rows(); }

    template <int L>
    void product_forward(int atoms, int64_t first, const Nodes<T>& rows, const Nodes<T>& in) const {
        constexpr int size = (L + 1) * (L + 1);
        Vec<T> x[2 * size], y[size];
        for (int a = 0; a < atoms; a++)
            for (int c = 0; c < s.ffn; c += kLanes<T>) {
                load_signals<L>(rows, a, c, x);
                grid_product<T, L>(s.points, model.to_grid.data(), model.from_grid.data(), rows_out(), x, y);
                const Vec<T> open = sigmoid<T>(load(gates(first + a) + c));
                T* kept = state.product + (first + a) * rows_out() * s.ffn + c;
                for (int l = 0, k = 0; l <= block.output.lmax(); l++)
                    for (int i = 0; i < 2 * l + 1; i++, k++) {
                        store(kept + k * s.ffn, y[k]);
                        store(in.degree(l, a) + i * s.ffn + c, y[k] * open);
                    }
            }
    }
    template <int L>
    void product_backward(int atoms, int64_t first, const Nodes<T>& gin, const Nodes<T>& rows, const Nodes<T>& grows,
                          T* ggates) const {
        constexpr int size = (L + 1) * (L + 1);
        Vec<T> x[2 * size], gx[2 * size], gy[size];
        for (int a = 0; a < atoms; a++)
            for (int c = 0; c < s.ffn; c += kLanes<T>) {
                const Vec<T> open = sigmoid<T>(load(gates(first + a) + c));
                const T* kept = state.product + (first + a) * rows_out() * s.ffn + c;
                Vec<T> by_gate = {};
                for (int l = 0, k = 0; l <= block.output.lmax(); l++)
                    for (int i = 0; i < 2 * l + 1; i++, k++) {
                        const Vec<T> g = load(gin.degree(l, a) + i * s.ffn + c);
                        by_gate += g * load(kept + k * s.ffn);
                        gy[k] = g * open;
                    }
                store(ggates + size_t(a) * s.ffn + c, by_gate * open * (T(1) - open));
                load_signals<L>(rows, a, c, x);
                grid_product_backward<T, L>(s.points, model.to_grid.data(), model.from_grid.data(), rows_out(), x, gy,
                                            gx);
                for (int l = 0, k = 0; l <= L; l++)
                    for (int i = 0; i < 2 * l + 1; i++, k++) {
                        store(grows.degree(l, a) + i * 2 * s.ffn + c, gx[k]);
                        store(grows.degree(l, a) + (i * 2 + 1) * s.ffn + c, gx[size + k]);
                    }
            }
    }
    template <int L>
    void load_signals(const Nodes<T>& rows, int a, int c, Vec<T>* x) const {
        constexpr int size = (L + 1) * (L + 1);
        for (int l = 0, k = 0; l <= L; l++)
            for (int i = 0; i < 2 * l + 1; i++, k++) {
                x[k] = load(rows.degree(l, a) + i * 2 * s.ffn + c);
                x[size + k] = load(rows.degree(l, a) + (i * 2 + 1) * s.ffn + c);
            }
    }

    const Sizes& s;
    const Model<T>& model;
    const Block<T>& block;
    FeedForwardState<T> state;
    int64_t total;
};

}  // namespace mlff
