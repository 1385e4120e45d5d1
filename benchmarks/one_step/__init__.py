"""One jump against many short dynamics from the same starts; run it with ``python -m benchmarks.one_step``."""
