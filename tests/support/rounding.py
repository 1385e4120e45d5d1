"""How far two computations of a number may be apart by rounding alone."""

from __future__ import annotations

import torch


def rounding(dtype: torch.dtype, size: float = 1.0, operations: int = 1000) -> float:
    """Absolute tolerance for numbers of a size whose sums were taken in different orders.

    The order depends on the program and on the instructions of the CPU, so bits agree only within one program. Each
    operation may add half of a unit in the last place. Networks of a few layers with their forces differ by about a
    hundred of them between AVX2 and AVX-512; mistakes differ by far more than a thousand.

    Args:
        size: of what is added up, not of the sum, which may cancel.
    """
    return operations * torch.finfo(dtype).eps * size
