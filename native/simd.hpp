// Vectors of the widest registers of the level that this file is compiled for, and the functions of them that we need.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace mlff {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kPanel = 4;  // vectors of a row that the matrix product keeps in registers
#elif defined(__AVX__)
constexpr int kBytes = 32;
constexpr int kPanel = 2;
#elif defined(__aarch64__)
constexpr int kBytes = 16;
constexpr int kPanel = 4;
#else
constexpr int kBytes = 16;
constexpr int kPanel = 2;
#endif
constexpr int kPad = 16;  // rows of channels are padded with zeros to a multiple of this, whatever the registers
constexpr int kAlign = 64;

inline int padded(int n) { return (n + kPad - 1) / kPad * kPad; }

template <class T>
struct Simd;
template <>
struct Simd<float> {
    typedef float V __attribute__((vector_size(kBytes)));
    typedef float U __attribute__((vector_size(kBytes), aligned(4), may_alias));
    typedef int32_t I __attribute__((vector_size(kBytes)));
    static constexpr int kExpTerms = 7, kMantissa = 23;
    static constexpr float kLow = -86.0f, kHigh = 88.0f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
    static constexpr int32_t kBias = 127;
};
template <>
struct Simd<double> {
    typedef double V __attribute__((vector_size(kBytes)));
    typedef double U __attribute__((vector_size(kBytes), aligned(8), may_alias));
    typedef int64_t I __attribute__((vector_size(kBytes)));
    static constexpr int kExpTerms = 13, kMantissa = 52;
    static constexpr double kLow = -700.0, kHigh = 700.0;
    static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
    static constexpr int64_t kBias = 1023;
};

template <class T>
using Vec = typename Simd<T>::V;
template <class T>
constexpr int kLanes = kBytes / int(sizeof(T));

template <class T>
inline Vec<T> load(const T* p) {
    return *reinterpret_cast<const typename Simd<T>::U*>(p);
}
template <class T>
inline void store(T* p, Vec<T> v) {
    *reinterpret_cast<typename Simd<T>::U*>(p) = v;
}
template <class T>
inline Vec<T> splat(T x) {
    return x - Vec<T>{};
}
/// The sum of all lanes, in halves.
template <class T>
inline T sum(Vec<T> v) {
    T lanes[kLanes<T>];
    store(lanes, v);
    for (int half = kLanes<T> / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/// e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2; Taylor's series of e^r. NaN stays NaN.
template <class T>
inline Vec<T> exponential(Vec<T> x) {
    using S = Simd<T>;
    x = x < S::kLow ? splat<T>(S::kLow) : x;
    x = x > S::kHigh ? splat<T>(S::kHigh) : x;
    // shifted to positive numbers, where cutting off digits is rounding
    auto shifted = __builtin_convertvector(x * T(1.4426950408889634) + T(S::kBias + 0.5), typename S::I);
    Vec<T> n = __builtin_convertvector(shifted, Vec<T>) - T(S::kBias);
    Vec<T> r = x - n * S::kLn2High - n * S::kLn2Low;
    Vec<T> series = splat<T>(T(1));
    for (int k = S::kExpTerms; k > 0; k--) series = series * r * T(1.0 / k) + T(1);
    auto power = shifted << S::kMantissa;
    Vec<T> scale;
    std::memcpy(&scale, &power, sizeof scale);
    return series * scale;
}

template <class T>
inline Vec<T> sigmoid(Vec<T> x) {
    return T(1) / (T(1) + exponential<T>(-x));
}

/// y += x, element by element; n is a multiple of kPad, as everywhere below.
template <class T>
inline void add(int n, const T* x, T* y) {
    for (int i = 0; i < n; i += kLanes<T>) store(y + i, load(y + i) + load(x + i));
}

template <class T>
inline T dot(int n, const T* x, const T* y) {
    Vec<T> total = {};
    for (int i = 0; i < n; i += kLanes<T>) total += load(x + i) * load(y + i);
    return sum<T>(total);
}

}  // namespace mlff
