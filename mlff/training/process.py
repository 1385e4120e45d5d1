"""The process that a training has to itself."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

# Parameters of mallopt (glibc's malloc.h)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MORE_THAN_A_STEP = 1 << 30
_LARGEST_MMAP_THRESHOLD = 1 << 25  # of older versions


def set_up_process(threads: int | None) -> None:
    """Set up the process of a training: its number of threads, and memory that it keeps.

    What a training command does before it trains, and a script with nothing else to do may; :func:`train` does not.
    Memory is left alone where the environment tunes it (``GLIBC_TUNABLES``, ``MALLOC_TRIM_THRESHOLD_`` and the like).

    Args:
        threads: CPU threads of torch; None: as they are.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if not any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ):
        _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let freed memory stay with this process instead of going back to the system, where the C library is glibc.

    With glibc's defaults the memory of a training step goes back at its end and comes in the next one page by page,
    cleared, which takes an eighth to a sixth of the time on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    # blocks up to this size come from the heap, and the heap keeps what is free at its end
    if mallopt(_MMAP_THRESHOLD, _MORE_THAN_A_STEP) or mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD):
        mallopt(_TRIM_THRESHOLD, _MORE_THAN_A_STEP)
        mallopt(_TOP_PAD, 1 << 26)
