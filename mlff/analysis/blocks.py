"""Pieces of trajectories, and sums over them.

Every metric of the analysis is a function of sums over frames. The sums of each block are kept, so that a random half
or a bootstrap resample costs an addition, not another pass over the frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_MOST_BLOCKS = 256


@dataclass(frozen=True, eq=False)
class Blocks:
    """Contiguous blocks of trajectories.

    Attributes:
        lengths: frames of each trajectory.
        starts: for each trajectory the first frames of its blocks.
        interval: ps between frames.
    """

    lengths: tuple[int, ...]
    starts: tuple[Integers, ...]
    interval: float

    @staticmethod
    def of(lengths: Sequence[int], interval: float, duration: float) -> Blocks:
        """Each trajectory cut into equal blocks of at most ``duration`` ps, as far as it has frames."""
        starts = []
        for length in lengths:
            number = int(np.clip(np.ceil(length * interval / duration - 1e-9), 1, length))
            starts.append(np.linspace(0, length, number, endpoint=False).astype(np.int64))
        return Blocks(tuple(lengths), tuple(starts), interval)

    @property
    def trajectories(self) -> Integers:
        """[U], number of the trajectory of each block."""
        return np.repeat(np.arange(len(self.starts)), [len(starts) for starts in self.starts])

    @property
    def durations(self) -> Array:
        """[U] in ps."""
        parts = [np.diff([*starts, length]) for starts, length in zip(self.starts, self.lengths, strict=True)]
        return np.concatenate(parts) * self.interval

    def slices(self) -> Iterator[tuple[int, slice]]:
        """(trajectory, frames) of each block."""
        for number, (starts, length) in enumerate(zip(self.starts, self.lengths, strict=True)):
            ends = [*starts[1:], length]
            yield from ((number, slice(int(a), int(b))) for a, b in zip(starts, ends, strict=True))

    def sums(self, values: Sequence[NDArray]) -> Array:
        """[U, ...], sums over the frames of the blocks, of values [F, ...] of each trajectory."""
        return np.stack([values[k][frames].astype(np.float64, copy=False).sum(0) for k, frames in self.slices()])

    def histograms(self, codes: Sequence[Integers], size: int) -> Array:
        """[U, size], counts in each block of the codes [F] or [F, n] of each trajectory."""
        counts = [np.bincount(codes[k][frames].ravel(), minlength=size) for k, frames in self.slices()]
        return np.stack(counts).astype(np.float64)


def block_duration(totals: Sequence[float], least: int) -> float:
    """Duration in ps of blocks, so that the shortest of several ensembles has at least ``least`` of them.

    Args:
        totals: ps of each ensemble.
    """
    return max(min(totals) / least, max(totals) / _MOST_BLOCKS)
