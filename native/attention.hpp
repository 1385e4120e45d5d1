// Attention weights of the edges of one target: envelope_softmax, or the envelope alone.
#pragma once
#include "gate.hpp"

namespace mlff {

/// LayerNorm of the logit features of one head [padded A] in place of `z`; returns 1 / σ. Padding is zero in f.
template <class T>
inline T normalize_head(int real, int size, const T* f, T* z) {
    Vec<T> total = {}, power = {};
    for (int c = 0; c < size; c += kLanes<T>) total += load(f + c);
    const T mean = sum<T>(total) / real;
    for (int c = 0; c < size; c += kLanes<T>) {
        const Vec<T> x = load(f + c) - mean;
        power += x * x;
        store(z + c, x);
    }
    const T scale = T(1) / std::sqrt((sum<T>(power) - (size - real) * mean * mean) / real + T(1e-5));
    for (int c = 0; c < size; c += kLanes<T>) store(z + c, load(z + c) * scale);
    return scale;
}

/// v = LayerNorm(f) or f, before φ.
template <class T>
inline Vec<T> before_slope(const Block<T>& block, const T* z, int c) {
    if (block.alpha_weight.empty()) return load(z + c);
    return load(z + c) * load(block.alpha_weight.data() + c) + load(block.alpha_bias.data() + c);
}

/// s = a · φ(LayerNorm(f)), φ(x) = 0.2 x + 0.8 x σ(x), of one head.
template <class T>
inline T logit(const Block<T>& block, int real, int size, const T* f, const T* alpha_dot, T* z) {
    if (block.alpha_weight.empty())
        std::memcpy(z, f, sizeof(T) * size);
    else
        normalize_head(real, size, f, z);
    Vec<T> total = {};
    for (int c = 0; c < size; c += kLanes<T>) {
        const Vec<T> v = before_slope(block, z, c);
        total += v * (T(0.2) + T(0.8) * sigmoid<T>(v)) * load(alpha_dot + c);
    }
    return sum<T>(total);
}

/// w_e = u² p_e, p_e = e^{s_e} / (e^b + Σ u e^s) over the n edges of one target; p is kept for the backward pass.
///
/// Logit features start at `features`, `stride` apart. Without attention w = u. weights, p: [n, heads].
template <class T>
void attention_weights(const Block<T>& block, const Sizes& s, int n, const T* features, int stride, const T* envelope,
                       T* p, T* weights, T* work) {
    const int heads = s.heads, size = s.logits / heads;
    if (!s.attention) {
        for (int e = 0; e < n; e++)
            for (int h = 0; h < heads; h++) weights[e * heads + h] = envelope[e];
        return;
    }
    for (int e = 0; e < n; e++)
        for (int h = 0; h < heads; h++)
            p[e * heads + h] = logit(block, s.alpha, size, features + size_t(e) * stride + h * size,
                                     block.alpha_dot.data() + h * size, work);
    for (int h = 0; h < heads; h++) {
        T peak = block.null_logit[h];
        for (int e = 0; e < n; e++) peak = std::max(peak, p[e * heads + h]);
        T total = std::exp(block.null_logit[h] - peak);
        for (int e = 0; e < n; e++) {
            p[e * heads + h] = std::exp(p[e * heads + h] - peak);
            total += envelope[e] * p[e * heads + h];
        }
        for (int e = 0; e < n; e++) {
            p[e * heads + h] /= total;
            weights[e * heads + h] = envelope[e] * envelope[e] * p[e * heads + h];
        }
    }
}

/// From g_w to the gradients by u (added to `by_envelope`) and by the logit features.
///
///   g_s = p u (g u - D),  g_u = Σ_h 2 g p u - p D,  D = Σ_e g w over the edges of the target
template <class T>
void attention_backward(const Block<T>& block, const Sizes& s, int n, const T* features, int stride, const T* envelope,
                        const T* p, const T* g, T* by_envelope, T* by_features, T* work) {
    const int heads = s.heads, size = s.logits / heads;
    for (int h = 0; h < heads; h++) {
        if (!s.attention) {
            for (int e = 0; e < n; e++) by_envelope[e] += g[e * heads + h];
            continue;
        }
        const T* alpha_dot = block.alpha_dot.data() + h * size;
        T all = 0;
        for (int e = 0; e < n; e++) all += g[e * heads + h] * p[e * heads + h] * envelope[e] * envelope[e];
        for (int e = 0; e < n; e++) {
            const T u = envelope[e], pe = p[e * heads + h], ge = g[e * heads + h];
            const T gs = pe * u * (ge * u - all);
            by_envelope[e] += 2 * ge * pe * u - pe * all;
            const T* f = features + size_t(e) * stride + h * size;
            T* out = by_features + size_t(e) * stride + h * size;
            T scale = 1;
            if (block.alpha_weight.empty())
                std::memcpy(work, f, sizeof(T) * size);
            else
                scale = normalize_head(s.alpha, size, f, work);
            Vec<T> mean = {}, product = {};
            for (int c = 0; c < size; c += kLanes<T>) {
                const Vec<T> v = before_slope(block, work, c);
                Vec<T> gz = gs * load(alpha_dot + c) * (T(0.2) + T(0.8) * silu_slope<T>(v));
                if (!block.alpha_weight.empty()) gz *= load(block.alpha_weight.data() + c);
                mean += gz;
                product += gz * load(work + c);
                store(out + c, gz);
            }
            if (block.alpha_weight.empty()) continue;
            const T m = sum<T>(mean) / s.alpha, q = sum<T>(product) / s.alpha;
            for (int c = 0; c < size; c += kLanes<T>) store(out + c, scale * (load(out + c) - m - load(work + c) * q));
        }
    }
}

}  // namespace mlff
