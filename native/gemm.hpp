// Matrix products of many short rows with a constant matrix, which is packed once when the model is made.
// Faster at these sizes than a BLAS, which packs at every call, and without its threads.
#pragma once
#include <cstddef>
#include <vector>

#include "simd.hpp"

namespace mlff {

constexpr int kRows = 6;  // of the left matrix, kept in registers at once

/// The right matrix B [rows, columns] of a product, in panels of kPanel vectors.
template <class T>
struct Packed {
    int rows = 0, columns = 0;
    std::vector<T> data;

    Packed() = default;
    /// B[k, n] = element(k, n); columns is a multiple of kPad.
    template <class F>
    Packed(int rows, int columns, F element) : rows(rows), columns(columns) {
        data.reserve(size_t(rows) * columns);
        constexpr int width = kPanel * kLanes<T>;
        for (int first = 0; first < columns; first += width)
            for (int k = 0; k < rows; k++)
                for (int n = first; n < first + width && n < columns; n++) data.push_back(T(element(k, n)));
    }
};

/// A linear map y = W x + b, W [out, in], for rows of vectors: packed for y and for the gradient g_x = Wᵀ g_y.
template <class T>
struct Linear {
    Packed<T> forward, backward;
    std::vector<T> bias;

    Linear() = default;
    Linear(int out, int in, const T* w) {
        forward = Packed<T>(in, out, [=](int k, int n) { return w[size_t(n) * in + k]; });
        backward = Packed<T>(out, in, [=](int k, int n) { return w[size_t(k) * in + n]; });
    }
    int in() const { return forward.rows; }
    int out() const { return forward.columns; }
};

enum class Start { kZero, kAdd, kBias };

template <class T, int R, int V>
inline void tile(int depth, const T* a, int lda, const T* b, T* c, int ldc, Start start, const T* bias) {
    constexpr int lanes = kLanes<T>;
    Vec<T> total[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++)
            total[r][v] = start == Start::kZero  ? Vec<T>{}
                          : start == Start::kAdd ? load(c + size_t(r) * ldc + v * lanes)
                                                 : load(bias + v * lanes);
    for (int k = 0; k < depth; k++, b += V * lanes) {
        Vec<T> row[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) row[v] = load(b + v * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const T factor = a[size_t(r) * lda + k];
#pragma GCC unroll 8
            for (int v = 0; v < V; v++) total[r][v] += factor * row[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) store(c + size_t(r) * ldc + v * lanes, total[r][v]);
}

template <class T, int V>
inline void panel(int rows, int depth, const T* a, int lda, const T* b, T* c, int ldc, Start start, const T* bias) {
    for (; rows >= kRows; rows -= kRows, a += size_t(kRows) * lda, c += size_t(kRows) * ldc)
        tile<T, kRows, V>(depth, a, lda, b, c, ldc, start, bias);
    if (rows >= 4) {
        tile<T, 4, V>(depth, a, lda, b, c, ldc, start, bias);
        rows -= 4, a += size_t(4) * lda, c += size_t(4) * ldc;
    }
    if (rows >= 2) {
        tile<T, 2, V>(depth, a, lda, b, c, ldc, start, bias);
        rows -= 2, a += size_t(2) * lda, c += size_t(2) * ldc;
    }
    if (rows) tile<T, 1, V>(depth, a, lda, b, c, ldc, start, bias);
}

/// C [rows, b.columns] = A [rows, b.rows] B, or what is in C or a bias plus that. lda, ldc: from row to row.
template <class T>
void multiply(int rows, const T* a, int lda, const Packed<T>& b, T* c, int ldc, Start start = Start::kZero,
              const T* bias = nullptr) {
    constexpr int lanes = kLanes<T>;
    const T* data = b.data.data();
    for (int first = 0; first < b.columns; first += kPanel * lanes) {
        const int vectors = b.columns - first < kPanel * lanes ? (b.columns - first) / lanes : kPanel;
        const T* shift = bias ? bias + first : nullptr;
        switch (vectors) {
            case 1: panel<T, 1>(rows, b.rows, a, lda, data, c + first, ldc, start, shift); break;
            case 2: panel<T, 2>(rows, b.rows, a, lda, data, c + first, ldc, start, shift); break;
            case 3: panel<T, 3>(rows, b.rows, a, lda, data, c + first, ldc, start, shift); break;
            default: panel<T, kPanel>(rows, b.rows, a, lda, data, c + first, ldc, start, shift);
        }
        data += size_t(b.rows) * vectors * lanes;
    }
}

/// y = W x + b of `rows` rows, or y += W x.
template <class T>
void apply(const Linear<T>& map, int rows, const T* x, int ldx, T* y, int ldy, bool accumulate = false) {
    const Start start = accumulate ? Start::kAdd : map.bias.empty() ? Start::kZero : Start::kBias;
    multiply(rows, x, ldx, map.forward, y, ldy, start, map.bias.empty() ? nullptr : map.bias.data());
}

/// g_x = Wᵀ g_y, or g_x += Wᵀ g_y.
template <class T>
void apply_transposed(const Linear<T>& map, int rows, const T* gy, int ldy, T* gx, int ldx, bool accumulate = false) {
    multiply(rows, gy, ldy, map.backward, gx, ldx, accumulate ? Start::kAdd : Start::kZero);
}

}  // namespace mlff
