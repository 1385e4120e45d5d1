// From the global frame to the edge frame and back: the Wigner blocks of one edge times its rows.
#pragma once
#include "geometry.hpp"

namespace mlff {

/// Order blocks of n edges: m = 0 [n, extra + (lmax+1) channels], then for each m [n, 2, (lmax-m+1) channels], the +m
/// rows of an edge before its -m rows.
struct Orders {
    int lmax, mmax, channels, extra;

    int degrees(int m) const { return lmax - m + 1; }
    int stride(int m) const { return m ? 2 * degrees(m) * channels : extra + degrees(0) * channels; }
    int start(int m) const {  // values per edge before block m
        int total = 0;
        for (int i = 0; i < m; i++) total += stride(i);
        return total;
    }
    int size() const { return start(mmax + 1); }
    /// The row (l, m) of edge e among n.
    template <class T>
    T* row(T* base, int n, int e, int l, int m) const {
        const int order = m < 0 ? -m : m;
        T* block = base + size_t(n) * start(order) + size_t(e) * stride(order);
        return block + (m ? 0 : extra) + ((m < 0 ? degrees(order) : 0) + l - order) * channels;
    }
};

template <class T, int L>
inline void rotate_degree(const Orders& o, const T* wigner, const T* x, T* out, int n, int e) {
    constexpr int size = 2 * L + 1;
    const T* d = wigner + wigner_start(L);
    x += L * L * o.channels;
    const int mmax = std::min(L, o.mmax);
    T* rows[size];
    for (int m = -mmax; m <= mmax; m++) rows[L + m] = o.row(out, n, e, L, m);
    for (int c = 0; c < o.channels; c += kLanes<T>) {
        Vec<T> in[size];
        for (int k = 0; k < size; k++) in[k] = load(x + k * o.channels + c);
        for (int m = -mmax; m <= mmax; m++) {
            Vec<T> total = d[(L + m) * size] * in[0];
            for (int k = 1; k < size; k++) total += d[(L + m) * size + k] * in[k];
            store(rows[L + m] + c, total);
        }
    }
}

/// Rows of the edge frame, into order blocks: y = D x.
template <class T>
inline void rotate(const Orders& o, const T* wigner, const T* x, T* out, int n, int e) {
    rotate_degree<T, 0>(o, wigner, x, out, n, e);
    if (o.lmax > 0) rotate_degree<T, 1>(o, wigner, x, out, n, e);
    if (o.lmax > 1) rotate_degree<T, 2>(o, wigner, x, out, n, e);
    if (o.lmax > 2) rotate_degree<T, 3>(o, wigner, x, out, n, e);
    if (o.lmax > 3) rotate_degree<T, 4>(o, wigner, x, out, n, e);
}

template <class T, int L>
inline void rotate_back_degree(const Orders& o, const T* wigner, const T* in, int n, int e, const T* weight, T* out) {
    constexpr int size = 2 * L + 1;
    const T* d = wigner + wigner_start(L);
    out += L * L * o.channels;
    const int mmax = std::min(L, o.mmax);
    const T* rows[size];
    for (int m = -mmax; m <= mmax; m++) rows[L + m] = o.row(in, n, e, L, m);
    for (int c = 0; c < o.channels; c += kLanes<T>) {
        const Vec<T> factor = weight ? load(weight + c) : splat<T>(T(1));
        Vec<T> total[size] = {};
        for (int m = -mmax; m <= mmax; m++) {
            const Vec<T> x = load(rows[L + m] + c) * factor;
            for (int k = 0; k < size; k++) total[k] += d[(L + m) * size + k] * x;
        }
        for (int k = 0; k < size; k++) store(out + k * o.channels + c, total[k]);
    }
}

/// Rows of the global frame, [(lmax+1)², channels]: x = Dᵀ (weight ⊙ y), weight [channels] or 1.
template <class T>
inline void rotate_back(const Orders& o, const T* wigner, const T* in, int n, int e, const T* weight, T* out) {
    rotate_back_degree<T, 0>(o, wigner, in, n, e, weight, out);
    if (o.lmax > 0) rotate_back_degree<T, 1>(o, wigner, in, n, e, weight, out);
    if (o.lmax > 1) rotate_back_degree<T, 2>(o, wigner, in, n, e, weight, out);
    if (o.lmax > 2) rotate_back_degree<T, 3>(o, wigner, in, n, e, weight, out);
    if (o.lmax > 3) rotate_back_degree<T, 4>(o, wigner, in, n, e, weight, out);
}

}  // namespace mlff
