// Attention weights of the edges of one target: envelope_softmax, or the envelope alone.
#pragma once
#include "gate.hpp"

namespace mlff {

/// e^x of n values, in place.
template <class T>
inline void exponentials(int n, T* x) {
    int i = 0;
    for (; i + kLanes<T> <= n; i += kLanes<T>) store(x + i, exponential<T>(load(x + i)));
    if (i == n) return;
    T rest[kLanes<T>] = {};
    std::memcpy(rest, x + i, sizeof(T) * (n - i));
    store(rest, exponential<T>(load(rest)));
    std::memcpy(x + i, rest, sizeof(T) * (n - i));
}

/// LayerNorm of the logit features of an edge, each head [padded A] for itself, and 1 / σ of each. Padding is zero in
/// f.
///
/// Heads take turns at every step, so that none waits for the sum of another.
template <class T>
inline void normalize_heads(int heads, int real, int size, const T* f, T* z, T* scale) {
    T mean[kMaxHeads];
    for (int h = 0; h < heads; h++) {
        Vec<T> total = {};
        for (int c = 0; c < size; c += kLanes<T>) total += load(f + h * size + c);
        mean[h] = sum<T>(total) / real;
    }
    for (int h = 0; h < heads; h++) {
        Vec<T> power = {};
        for (int c = 0; c < size; c += kLanes<T>) {
            const Vec<T> x = load(f + h * size + c) - mean[h];
            power += x * x;
            store(z + h * size + c, x);
        }
        scale[h] = sum<T>(power) - (size - real) * mean[h] * mean[h];
    }
    for (int h = 0; h < heads; h++) scale[h] = T(1) / std::sqrt(scale[h] / real + T(1e-5));
    for (int h = 0; h < heads; h++)
        for (int c = 0; c < size; c += kLanes<T>) store(z + h * size + c, load(z + h * size + c) * scale[h]);
}

/// What φ acts on: z w + b of the normalised features, or the features.
template <class T>
inline Vec<T> before_slope(const Block<T>& block, const T* z, int c) {
    if (block.alpha_weight.empty()) return load(z + c);
    return load(z + c) * load(block.alpha_weight.data() + c) + load(block.alpha_bias.data() + c);
}

/// s = a · φ(LayerNorm(f)), φ(x) = 0.2 x + 0.8 x σ(x), of all heads of an edge. `z` [heads, padded A].
template <class T>
inline void logits(const Block<T>& block, const Sizes& s, const T* f, T* z, T* out) {
    const int size = s.logits / s.heads;
    if (!block.alpha_weight.empty()) {
        T scale[kMaxHeads];
        normalize_heads(s.heads, s.alpha, size, f, z, scale);
        f = z;
    }
    for (int h = 0; h < s.heads; h++) {
        Vec<T> total = {};
        for (int c = 0; c < size; c += kLanes<T>) {
            const Vec<T> v = before_slope(block, f + h * size, c);
            total += v * (T(0.2) + T(0.8) * sigmoid<T>(v)) * load(&block.alpha_dot[h * size + c]);
        }
        out[h] = sum<T>(total);
    }
}

/// w_e = u² p_e, p_e = e^{s_e} / (e^b + Σ u e^s) over the n edges of one target; p is kept for the backward pass.
///
/// Logit features start at `features`, `stride` apart. Without attention w = u. weights, p: [n, heads].
template <class T>
void attention_weights(const Block<T>& block, const Sizes& s, int n, const T* features, int stride, const T* envelope,
                       T* p, T* weights, T* work) {
    const int heads = s.heads;
    if (!s.attention) {
        for (int e = 0; e < n; e++)
            for (int h = 0; h < heads; h++) weights[e * heads + h] = envelope[e];
        return;
    }
    for (int e = 0; e < n; e++) logits(block, s, features + size_t(e) * stride, work, p + e * heads);
    T total[kMaxHeads];
    for (int h = 0; h < heads; h++) {  // the largest s is subtracted, which cancels
        T peak = block.null_logit[h];
        for (int e = 0; e < n; e++) peak = std::max(peak, p[e * heads + h]);
        for (int e = 0; e < n; e++) p[e * heads + h] -= peak;
        total[h] = std::exp(block.null_logit[h] - peak);
    }
    exponentials(n * heads, p);
    for (int e = 0; e < n; e++)
        for (int h = 0; h < heads; h++) total[h] += envelope[e] * p[e * heads + h];
    for (int h = 0; h < heads; h++) total[h] = 1 / total[h];
    for (int e = 0; e < n; e++)
        for (int h = 0; h < heads; h++) {
            p[e * heads + h] *= total[h];
            weights[e * heads + h] = envelope[e] * envelope[e] * p[e * heads + h];
        }
}

/// From g_w to the gradients by u (added to `by_envelope`) and by the logit features.
///
///   g_s = p u (g u - D),  g_u = Σ_h 2 g p u - p D,  D = Σ_e g w over the edges of the target
template <class T>
void attention_backward(const Block<T>& block, const Sizes& s, int n, const T* features, int stride, const T* envelope,
                        const T* p, const T* g, T* by_envelope, T* by_features, T* work) {
    const int heads = s.heads, size = s.logits / heads;
    if (!s.attention) {
        for (int e = 0; e < n; e++)
            for (int h = 0; h < heads; h++) by_envelope[e] += g[e * heads + h];
        return;
    }
    const bool normed = !block.alpha_weight.empty();
    T all[kMaxHeads] = {}, scale[kMaxHeads], mean[kMaxHeads], product[kMaxHeads];
    for (int e = 0; e < n; e++)
        for (int h = 0; h < heads; h++) all[h] += g[e * heads + h] * p[e * heads + h] * envelope[e] * envelope[e];
    for (int e = 0; e < n; e++) {
        const T u = envelope[e];
        const T *f = features + size_t(e) * stride, *z = normed ? work : f;
        T* out = by_features + size_t(e) * stride;
        if (normed) normalize_heads(heads, s.alpha, size, f, work, scale);
        for (int h = 0; h < heads; h++) {
            const T pe = p[e * heads + h], ge = g[e * heads + h], gs = pe * u * (ge * u - all[h]);
            by_envelope[e] += 2 * ge * pe * u - pe * all[h];
            Vec<T> sums = {}, products = {};
            for (int c = h * size; c < (h + 1) * size; c += kLanes<T>) {
                const Vec<T> v = before_slope(block, z + h * size, c - h * size);
                Vec<T> gz = gs * load(&block.alpha_dot[c]) * (T(0.2) + T(0.8) * silu_slope<T>(v));
                if (normed) gz *= load(&block.alpha_weight[c - h * size]);
                sums += gz;
                products += gz * load(z + c);
                store(out + c, gz);
            }
            if (normed) mean[h] = sum<T>(sums) / s.alpha, product[h] = sum<T>(products) / s.alpha;
        }
        for (int h = 0; normed && h < heads; h++)
            for (int c = h * size; c < (h + 1) * size; c += kLanes<T>)
                store(out + c, scale[h] * (load(out + c) - mean[h] - load(z + c) * product[h]));
    }
}

}  // namespace mlff
