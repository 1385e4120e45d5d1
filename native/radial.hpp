// RadialFunction, tabulated for each pair of elements: quintic Hermite interpolation with two continuous derivatives.
#pragma once
#include "model.hpp"

namespace mlff {

/// On an interval of length h, t = 0 ... 1: Σ of f, h f', h² f'' at both ends times the polynomials of Hermite.
template <class T>
struct Knot {
    const T* values;
    T value[6], slope[6];  // the polynomials, and their derivatives over h

    Knot(const Table<T>& table, int width, T distance, T cutoff) {
        const T scale = table.intervals / cutoff, x = std::max(T(0), distance * scale);
        const int i = std::min(int(x), table.intervals - 1);
        const T t = x - i, t2 = t * t, t3 = t2 * t, t4 = t3 * t, t5 = t4 * t;
        values = table.values.data() + size_t(i) * 3 * width;
        value[3] = 10 * t3 - 15 * t4 + 6 * t5;
        value[0] = 1 - value[3];
        value[1] = t - 6 * t3 + 8 * t4 - 3 * t5;
        value[2] = T(0.5) * (t2 - 3 * t3 + 3 * t4 - t5);
        value[4] = -4 * t3 + 7 * t4 - 3 * t5;
        value[5] = T(0.5) * (t3 - 2 * t4 + t5);
        slope[3] = scale * (30 * t2 - 60 * t3 + 30 * t4);
        slope[0] = -slope[3];
        slope[1] = scale * (1 - 18 * t2 + 32 * t3 - 15 * t4);
        slope[2] = scale * T(0.5) * (2 * t - 9 * t2 + 12 * t3 - 5 * t4);
        slope[4] = scale * (-12 * t2 + 28 * t3 - 15 * t4);
        slope[5] = scale * T(0.5) * (3 * t2 - 8 * t3 + 5 * t4);
    }
};

/// Ask for what the knot of a later edge reads: tables of many pairs lie in the last cache.
template <class T>
inline void prefetch(const Table<T>& table, int width, T distance, T cutoff) {
    const int i = std::min(int(distance * table.intervals / cutoff), table.intervals - 1);
    const char* values = reinterpret_cast<const char*>(table.values.data() + size_t(i) * 3 * width);
    for (size_t line = 0; line < 6 * sizeof(T) * width; line += 64) __builtin_prefetch(values + line, 0, 2);
}

/// Radial weights [width] at the knot.
template <class T>
inline void radial(const Knot<T>& knot, int width, T* weights) {
    const T* f = knot.values;
    for (int i = 0; i < width; i += kLanes<T>) {
        Vec<T> total = {};
        for (int k = 0; k < 6; k++) total += knot.value[k] * load(f + k * width + i);
        store(weights + i, total);
    }
}

/// Σ g_w dw/dd, the gradient by the distance.
template <class T>
inline T radial_backward(const Knot<T>& knot, int width, const T* g) {
    const T* f = knot.values;
    Vec<T> gradient = {};
    for (int i = 0; i < width; i += kLanes<T>) {
        Vec<T> slope = {};
        for (int k = 0; k < 6; k++) slope += knot.slope[k] * load(f + k * width + i);
        gradient += slope * load(g + i);
    }
    return sum<T>(gradient);
}

}  // namespace mlff
