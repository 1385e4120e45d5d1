// SO2Convolution on order blocks of n edges.
#pragma once
#include "rotate.hpp"

namespace mlff {

/// (extra, y_0) = W_0 x_0 + b; with parity y_±m = W_m x_±m, otherwise (y_m, y_-m) = W_m (x_m, x_-m).
template <class T>
void convolve(const SO2Convolution<T>& conv, bool parity, int n, const Orders& from, const T* x, const Orders& to,
              T* y) {
    apply(conv.linear0, n, x + from.extra, from.stride(0), y, to.stride(0));
    for (int m = 1; m <= int(conv.linears.size()); m++) {
        const auto& map = conv.linears[m - 1];
        apply(map, parity ? 2 * n : n, x + size_t(n) * from.start(m), map.in(), y + size_t(n) * to.start(m), map.out());
    }
}

/// The gradient by x; every order that y lacks is zero.
template <class T>
void convolve_backward(const SO2Convolution<T>& conv, bool parity, int n, const Orders& to, const T* gy,
                       const Orders& from, T* gx) {
    apply_transposed(conv.linear0, n, gy, to.stride(0), gx + from.extra, from.stride(0));
    for (int m = 1; m <= int(conv.linears.size()); m++) {
        const auto& map = conv.linears[m - 1];
        apply_transposed(map, parity ? 2 * n : n, gy + size_t(n) * to.start(m), map.out(),
                         gx + size_t(n) * from.start(m), map.in());
    }
}

}  // namespace mlff
