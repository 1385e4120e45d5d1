// GateActivation: SiLU on l = 0, a sigmoid gate per degree and channel on l > 0.
#pragma once
#include "rotate.hpp"

namespace mlff {

/// y = x σ(x)
template <class T>
inline Vec<T> silu(Vec<T> x) {
    return x * sigmoid<T>(x);
}
/// dy/dx = σ (1 + x (1 - σ))
template <class T>
inline Vec<T> silu_slope(Vec<T> x) {
    const Vec<T> s = sigmoid<T>(x);
    return s * (T(1) + x * (T(1) - s));
}

/// From the blocks of conv1, with gates [lmax, channels] at the end of their extra values, to blocks without extra.
template <class T>
void gate(const Orders& from, int n, const T* x, const Orders& to, T* y, T* gates) {
    const int q = from.channels, lmax = from.lmax;
    for (int e = 0; e < n; e++) {
        const T* zero = x + size_t(e) * from.stride(0) + from.extra;
        T* out = y + size_t(e) * to.stride(0);
        for (int c = 0; c < lmax * q; c += kLanes<T>) store(gates + c, sigmoid<T>(load(zero - lmax * q + c)));
        for (int c = 0; c < q; c += kLanes<T>) store(out + c, silu<T>(load(zero + c)));
        for (int c = 0; c < lmax * q; c += kLanes<T>) store(out + q + c, load(zero + q + c) * load(gates + c));
        for (int m = 1; m <= from.mmax; m++) {
            const int width = from.degrees(m) * q;  // degrees l >= m, whose gates start at l = m
            const T *in = x + size_t(n) * from.start(m) + size_t(e) * 2 * width, *g = gates + (m - 1) * q;
            T* rows = y + size_t(n) * to.start(m) + size_t(e) * 2 * width;
            for (int c = 0; c < width; c += kLanes<T>) {
                store(rows + c, load(in + c) * load(g + c));
                store(rows + width + c, load(in + width + c) * load(g + c));
            }
        }
    }
}

/// gx from gy; its logit features are left as they are. `work` [2 lmax channels].
template <class T>
void gate_backward(const Orders& from, int n, const T* x, const Orders& to, const T* gy, T* gx, T* work) {
    const int q = from.channels, lmax = from.lmax;
    T *gates = work, *gradient = work + lmax * q;
    for (int e = 0; e < n; e++) {
        const size_t first = size_t(e) * from.stride(0) + from.extra;
        const T *zero = x + first, *g = gy + size_t(e) * to.stride(0);
        T* out = gx + first;
        for (int c = 0; c < lmax * q; c += kLanes<T>) store(gates + c, sigmoid<T>(load(zero - lmax * q + c)));
        for (int c = 0; c < q; c += kLanes<T>) store(out + c, load(g + c) * silu_slope<T>(load(zero + c)));
        for (int c = 0; c < lmax * q; c += kLanes<T>) {
            store(gradient + c, load(g + q + c) * load(zero + q + c));
            store(out + q + c, load(g + q + c) * load(gates + c));
        }
        for (int m = 1; m <= from.mmax; m++) {
            const int width = from.degrees(m) * q, skip = (m - 1) * q;
            const size_t at = size_t(n) * from.start(m) + size_t(e) * 2 * width;
            const T* g2 = gy + size_t(n) * to.start(m) + size_t(e) * 2 * width;
            for (int c = 0; c < width; c += kLanes<T>) {
                const Vec<T> plus = load(g2 + c), minus = load(g2 + width + c), s = load(gates + skip + c);
                store(gradient + skip + c,
                      load(gradient + skip + c) + plus * load(x + at + c) + minus * load(x + at + width + c));
                store(gx + at + c, plus * s);
                store(gx + at + width + c, minus * s);
            }
        }
        for (int c = 0; c < lmax * q; c += kLanes<T>) {
            const Vec<T> s = load(gates + c);
            store(out - lmax * q + c, load(gradient + c) * s * (T(1) - s));
        }
    }
}

}  // namespace mlff
