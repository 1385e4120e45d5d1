"""Histograms and the Jensen-Shannon divergence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Binning:
    """A grid of bins in one or more dimensions.

    Each dimension has a bin below its first edge and one above its last, so that nothing is lost; what is no number
    counts as above.

    Attributes:
        edges: increasing edges of each dimension.
    """

    edges: tuple[Array, ...]

    @staticmethod
    def regular(*ranges: tuple[float, float, int]) -> Binning:
        """Equal bins: (lowest edge, highest edge, number of bins) for each dimension."""
        return Binning(tuple(np.linspace(low, high, bins + 1) for low, high, bins in ranges))

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins in each dimension, outer bins included."""
        return tuple(len(edges) + 1 for edges in self.edges)

    @property
    def size(self) -> int:
        """Bins in all."""
        return int(np.prod(self.shape))

    def codes(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """The bins [F] of values [F, dimensions]."""
        columns = [np.searchsorted(edges, values[:, d], side="right") for d, edges in enumerate(self.edges)]
        return np.ravel_multi_index(tuple(columns), self.shape).astype(np.int64)

    def inner(self, counts: Array) -> Array:
        """Counts [size] on the grid, without the outer bins."""
        return counts.reshape(self.shape)[tuple(slice(1, -1) for _ in self.edges)]

    def width(self, counts: Array) -> Array:
        """Standard deviation [...] of counts [..., size] in one dimension, without the outer bins; nan of none."""
        centres, inner = (self.edges[0][1:] + self.edges[0][:-1]) / 2, counts[..., 1:-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, square = (inner @ centres**power / inner.sum(-1) for power in (1, 2))
        return np.sqrt(square - mean**2)


def js_divergence(p: Array, q: Array) -> Array:
    """Jensen-Shannon divergence in nats, between 0 and ln 2 (Lin, IEEE Trans. Inf. Theory 37, 145 (1991)).

    Args:
        p, q: [..., bins], counts or weights; normalised here. Where all are zero the result is nan.

    Returns:
        [...]; its square root is the Jensen-Shannon distance.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = (weights / weights.sum(-1, keepdims=True) for weights in (p, q))
    mean = (p + q) / 2
    divergence: Array = (rel_entr(p, mean).sum(-1) + rel_entr(q, mean).sum(-1)) / 2
    return np.maximum(divergence, 0.0)


def free_energy(counts: Array) -> Array:
    """-ln p in kT above the minimum, of counts in equal bins; nan where nothing was counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = -np.log(counts / counts.max())
    return np.where(counts > 0, energy, np.nan)
