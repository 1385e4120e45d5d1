"""How jumps end when they do not go well."""

from __future__ import annotations

import torch

from md_drivers.common.errors import CalculationError

# A scripted network turns every exception into a RuntimeError with the text of the first; so does the CPU allocator.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


class JumpFailed(CalculationError):
    """A jump after which there is no molecule any more; the atoms are where they were before it."""


class OutOfMemory(CalculationError):
    """A jump for which there was not enough memory; the message says what to change."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or NumPy says that memory could not be allocated."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
