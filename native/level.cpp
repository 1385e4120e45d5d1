// Whether this processor has the instructions of this library. Compiled for every processor, to be asked on any.
extern "C" int mlff_runs_here() {
#if defined(MLFF_LEVEL_V4)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#elif defined(MLFF_LEVEL_V3)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}
