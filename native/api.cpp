// What Python calls, through ctypes: plain functions without exceptions. One library per level of instructions.
#include "evaluate.hpp"

namespace {

constexpr int kMessage = 256;

template <class F>
int guarded(char* message, F f) {
    try {
        return f();
    } catch (const std::exception& error) {
        std::strncpy(message, error.what(), kMessage - 1);
    }
    return mlff::kFailed;
}

struct Handle {
    std::unique_ptr<mlff::Model<float>> single;
    std::unique_ptr<mlff::Model<double>> twice;
};

}  // namespace

#define MLFF_API extern "C" __attribute__((visibility("default")))

/// A model in float64 where `twice`, or null with a message.
MLFF_API void* mlff_new(const mlff::Sizes* sizes, int twice, int count, const char** names, const double** values,
                        const int64_t* lengths, char* message) {
    void* made = nullptr;
    guarded(message, [&] {
        mlff::Weights weights;
        for (int i = 0; i < count; i++) weights.add(names[i], values[i], lengths[i]);
        auto handle = std::make_unique<Handle>();
        if (twice)
            handle->twice = std::make_unique<mlff::Model<double>>(*sizes, weights);
        else
            handle->single = std::make_unique<mlff::Model<float>>(*sizes, weights);
        made = handle.release();
        return 0;
    });
    return made;
}

MLFF_API void mlff_free(void* model) { delete static_cast<Handle*>(model); }

/// Values of a table, [intervals + 1, 3, width].
MLFF_API int mlff_set_table(void* model, int layer, int pair, int intervals, const double* values, char* message) {
    return guarded(message, [&] {
        auto& handle = *static_cast<Handle*>(model);
        if (handle.twice)
            handle.twice->set_table(layer, pair, intervals, values);
        else
            handle.single->set_table(layer, pair, intervals, values);
        return 0;
    });
}

MLFF_API int mlff_evaluate(void* model, const mlff::Input* in, mlff::Output* out, int threads, char* message) {
    return guarded(message, [&] {
        auto& handle = *static_cast<Handle*>(model);
        std::string text;
        const int status = handle.twice ? mlff::evaluate(*handle.twice, *in, *out, threads, text)
                                        : mlff::evaluate(*handle.single, *in, *out, threads, text);
        std::strncpy(message, text.c_str(), kMessage - 1);
        return status;
    });
}
