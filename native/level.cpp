// Whether this processor has the instructions of this library. Compiled for every processor, to be asked on any.
extern "C" __attribute__((visibility("default"))) int mlff_runs_here() {
#if MLFF_LEVEL == 4
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#elif MLFF_LEVEL == 3
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}
