"""The process that a training has to itself."""

from __future__ import annotations

import ctypes
import sys

import torch

# Parameters of mallopt (glibc's malloc.h), with sizes that no step reaches.
_MALLOPT = {
    -3: 1 << 30,  # M_MMAP_THRESHOLD: smaller blocks come from the heap
    -1: 1 << 30,  # M_TRIM_THRESHOLD: free memory at the end of the heap that is kept
    -2: 1 << 26,  # M_TOP_PAD: by how much the heap grows at a time
}


def set_up_process(threads: int | None) -> None:
    """Set up the process of a training: its number of threads, and memory that it keeps.

    What a training command does before it trains, and a script with nothing else to do may; :func:`train` does not.

    Args:
        threads: CPU threads of torch; None: as they are.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process instead of going back to the system; whether that could be done.

    With glibc's defaults the memory of a training step goes back at its end and comes in the next one page by page,
    cleared, which takes an eighth to a sixth of the time on a CPU. The process stays as large as its largest step.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from other C libraries, such as musl
    return mallopt is not None and all(mallopt(parameter, value) == 1 for parameter, value in _MALLOPT.items())
