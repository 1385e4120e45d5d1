// Features of atoms, and what acts on them alone: SO3Linear and MergedLayerNorm.
#pragma once
#include "model.hpp"

namespace mlff {

/// Atoms `first` ... of an array that is cut by degree, [lmax+1][total, 2l+1, channels], so that a matrix acts on the
/// rows of one degree at once.
template <class T>
struct Nodes {
    T* data;
    int64_t total, first;
    int channels;

    T* degree(int l, int64_t atom = 0) const {
        return data + (size_t(total) * l * l + size_t(first + atom) * (2 * l + 1)) * channels;
    }
    Nodes from(int64_t atom) const { return {data, total, first + atom, channels}; }
    /// Rows of one atom, [(lmax+1)², channels].
    void gather(int lmax, int64_t atom, T* rows) const {
        for (int l = 0; l <= lmax; l++)
            std::memcpy(rows + l * l * channels, degree(l, atom), sizeof(T) * (2 * l + 1) * channels);
    }
    void scatter_add(int lmax, int64_t atom, const T* rows) const {
        for (int l = 0; l <= lmax; l++) add((2 * l + 1) * channels, rows + l * l * channels, degree(l, atom));
    }
    void copy_to(const Nodes& other, int lmax, int atoms) const {
        for (int l = 0; l <= lmax; l++)
            std::memcpy(other.degree(l), degree(l), sizeof(T) * size_t(atoms) * (2 * l + 1) * channels);
    }
    void clear(int lmax, int atoms) const {
        for (int l = 0; l <= lmax; l++) std::memset(degree(l), 0, sizeof(T) * size_t(atoms) * (2 * l + 1) * channels);
    }
};

template <class T>
void apply(const SO3Linear<T>& map, int atoms, const Nodes<T>& x, const Nodes<T>& y, bool accumulate = false) {
    for (int l = 0; l <= map.lmax(); l++)
        apply(map.degrees[l], atoms * (2 * l + 1), x.degree(l), x.channels, y.degree(l), y.channels, accumulate);
    if (accumulate)
        for (int a = 0; a < atoms; a++) add(y.channels, map.degrees[0].bias.data(), y.degree(0, a));
}

template <class T>
void apply_transposed(const SO3Linear<T>& map, int atoms, const Nodes<T>& gy, const Nodes<T>& gx,
                      bool accumulate = false) {
    for (int l = 0; l <= map.lmax(); l++)
        apply_transposed(map.degrees[l], atoms * (2 * l + 1), gy.degree(l), gy.channels, gx.degree(l), gx.channels,
                         accumulate);
}

constexpr double kEpsilon = 1e-5;  // of layer norms

/// Mean of l = 0 over the real channels, and r = 1 / sqrt(mean over channels of Σ_k b_k x_k² + ε), b_k = 1 /
/// ((lmax+1)(2l+1)).
template <class T>
inline void moments(const Norm<T>& norm, int real, const Nodes<T>& x, int atom, T* mean, T* scale) {
    const T* x0 = x.degree(0, atom);
    T total = 0, power = 0;
    for (int c = 0; c < real; c++) total += x0[c];
    *mean = total / real;
    for (int c = 0; c < real; c++) power += (x0[c] - *mean) * (x0[c] - *mean);
    for (int l = 1; l <= norm.lmax; l++)
        power += dot((2 * l + 1) * x.channels, x.degree(l, atom), x.degree(l, atom)) / (2 * l + 1);
    *scale = T(1) / std::sqrt(power / (real * (norm.lmax + 1)) + T(kEpsilon));
}

/// MergedLayerNorm: y = r w (x - mean), the mean of l = 0 only; then the bias on l = 0.
template <class T>
void normalize(const Norm<T>& norm, int real, int atoms, const Nodes<T>& x, const Nodes<T>& y) {
    if (norm.weight.empty()) return x.copy_to(y, norm.lmax, atoms);
    const int channels = x.channels;
    for (int a = 0; a < atoms; a++) {
        T mean, scale;
        moments(norm, real, x, a, &mean, &scale);
        for (int c = 0; c < channels; c++)
            y.degree(0, a)[c] = (x.degree(0, a)[c] - mean) * scale * norm.weight[c] + norm.bias[c];
        for (int l = 1; l <= norm.lmax; l++) {
            const T *in = x.degree(l, a), *w = norm.weight.data() + l * channels;
            T* out = y.degree(l, a);
            for (int k = 0; k < 2 * l + 1; k++, in += channels, out += channels)
                for (int c = 0; c < channels; c += kLanes<T>) store(out + c, load(in + c) * scale * load(w + c));
        }
    }
}

/// gx += r h - r³ b (x - mean) <h, x - mean> / C with h = w gy; of l = 0 without its mean.
template <class T>
void normalize_backward(const Norm<T>& norm, int real, int atoms, const Nodes<T>& x, const Nodes<T>& gy,
                        const Nodes<T>& gx, int lmax_of_gradient) {
    const int channels = x.channels;
    std::vector<T> row(norm.weight.empty() ? 0 : channels);
    for (int a = 0; a < atoms; a++) {
        if (norm.weight.empty()) {
            for (int l = 0; l <= lmax_of_gradient; l++) add((2 * l + 1) * channels, gy.degree(l, a), gx.degree(l, a));
            continue;
        }
        T mean, scale, product = 0, total = 0;
        moments(norm, real, x, a, &mean, &scale);
        const T *x0 = x.degree(0, a), *g0 = gy.degree(0, a);
        for (int c = 0; c < real; c++) product += g0[c] * norm.weight[c] * (x0[c] - mean);
        for (int l = 1; l <= lmax_of_gradient; l++) {
            const T *in = x.degree(l, a), *g = gy.degree(l, a), *w = norm.weight.data() + l * channels;
            Vec<T> sums = {};
            for (int k = 0; k < 2 * l + 1; k++, in += channels, g += channels)
                for (int c = 0; c < channels; c += kLanes<T>) sums += load(g + c) * load(w + c) * load(in + c);
            product += sum<T>(sums);
        }
        const T factor = -product * scale * scale * scale / (real * (norm.lmax + 1));
        for (int c = 0; c < real; c++) {
            row[c] = g0[c] * norm.weight[c] * scale + factor * (x0[c] - mean);
            total += row[c];
        }
        for (int c = 0; c < real; c++) gx.degree(0, a)[c] += row[c] - total / real;
        for (int l = 1; l <= norm.lmax; l++) {
            const T *in = x.degree(l, a), *g = gy.degree(l, a), *w = norm.weight.data() + l * channels;
            const T own = factor / (2 * l + 1), pass = l <= lmax_of_gradient ? scale : T(0);
            T* out = gx.degree(l, a);
            for (int k = 0; k < 2 * l + 1; k++, in += channels, g += channels, out += channels)
                for (int c = 0; c < channels; c += kLanes<T>) {
                    Vec<T> value = own * load(in + c);
                    if (l <= lmax_of_gradient) value += pass * load(g + c) * load(w + c);
                    store(out + c, load(out + c) + value);
                }
        }
    }
}

}  // namespace mlff
