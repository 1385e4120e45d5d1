// Edges: length, direction, envelope, the Wigner matrices of their frames, and the gradient by the edge vector.
#pragma once
#include "model.hpp"

namespace mlff {

/// Where the block of degree l starts among the Wigner blocks of an edge, each [2l+1, 2l+1].
constexpr int wigner_start(int l) { return l == 0 ? 0 : wigner_start(l - 1) + (2 * l - 1) * (2 * l - 1); }
constexpr int wigner_size(int lmax) { return wigner_start(lmax + 1); }

/// PolynomialEnvelope of exponent 5 and its derivative, of x = distance / reach.
template <class T>
inline void envelope(T x, T* value, T* derivative) {
    x = std::min(x, T(1));
    const T rest = 1 - x;
    *value = rest * rest * rest * ((((15 * x + 10) * x + 6) * x + 3) * x + 1);
    *derivative = -105 * x * x * x * x * rest * rest;
}

/// edge_rotation: R v = +y, rows of R are the axes of the edge frame. Both charts are rational in v.
template <class T>
inline void edge_rotation(const T* v, T* rotation) {
    const T x = v[0], y = v[1], z = v[2], sign = y >= 0 ? T(1) : T(-1), inverse = 1 / (1 + sign * y);
    const T xz = inverse * x * z, cosine = T(0.99619469809174553), sine = T(0.087155742747658174);  // of π / 36
    const T first[3] = {1 - inverse * x * x, -sign * x, -xz};
    const T third[3] = {-sign * xz, -z, sign * (1 - inverse * z * z)};
    for (int k = 0; k < 3; k++) {
        rotation[k] = cosine * first[k] + sine * third[k];
        rotation[3 + k] = v[k];
        rotation[6 + k] = cosine * third[k] - sine * first[k];
    }
}

/// EdgeFrame.wigner_blocks: D_l = Cᵀ (D_{l-1} ⊗ R) C, with the few entries of C that are not zero.
template <class T>
inline void wigner_blocks(int lmax, const std::vector<Coupling<T>>* couplings, const T* v, T* blocks) {
    blocks[0] = 1;
    T* rotation = blocks + 1;
    edge_rotation(v, rotation);
    T right[3 * (2 * kLmax - 1) * (2 * kLmax + 1)];
    for (int l = 2; l <= lmax; l++) {
        const int before = 2 * l - 1, rows = 3 * before, size = 2 * l + 1;
        const T* previous = blocks + wigner_start(l - 1);
        T* block = blocks + wigner_start(l);
        std::fill(right, right + rows * size, T(0));
        std::fill(block, block + size * size, T(0));
        for (const auto& c : couplings[l])
            for (int i = 0; i < before; i++)
                for (int k = 0; k < 3; k++)
                    right[(3 * i + k) * size + c.column] +=
                        c.value * previous[i * before + c.row / 3] * rotation[k * 3 + c.row % 3];
        for (const auto& c : couplings[l])
            for (int q = 0; q < size; q++) block[c.column * size + q] += c.value * right[c.row * size + q];
    }
}

/// τ_a += sign Σ_c <g, J_a x> of rows [(lmax+1)², channels].
///
/// The network does not see rolls of the edge frame, so that its derivative by the edge direction is a torque: what
/// turning the features that enter the frame against those that leave it changes. No derivative of a Wigner matrix.
template <class T>
inline void add_torque(const std::vector<Generator<T>>& generators, int channels, const T* g, const T* x, T sign,
                       T* torque) {
    Vec<T> total[3] = {};
    for (const auto& j : generators) {
        const T *gr = g + j.row * channels, *gc = g + j.column * channels;
        const T *xr = x + j.row * channels, *xc = x + j.column * channels;
        Vec<T> part = {};
        for (int c = 0; c < channels; c += kLanes<T>) part += load(gr + c) * load(xc + c) - load(gc + c) * load(xr + c);
        total[j.axis] += j.value * part;
    }
    for (int a = 0; a < 3; a++) torque[a] += sign * sum<T>(total[a]);
}

/// dE/dv = (τ × v̂) / d + (dE/dd) v̂.
template <class T>
inline void edge_gradient(const T* torque, const T* v, T distance, T by_distance, T* gradient) {
    for (int k = 0; k < 3; k++) {
        const int i = (k + 1) % 3, j = (k + 2) % 3;
        gradient[k] = (torque[i] * v[j] - torque[j] * v[i]) / distance + by_distance * v[k];
    }
}

}  // namespace mlff
