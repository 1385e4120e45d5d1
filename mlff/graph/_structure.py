"""Checked structures for the neighbour lists: one place that reads positions, cells and periodicity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ase.geometry import minkowski_reduce
from torch import Tensor

ArrayLike = Any  # numpy arrays, tensors, nested sequences
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MIN_HEIGHT = 0.5  # A; thinner periodic cells are mistakes (nm for A, say) and would need millions of images
_MIN_LENGTH = 1e-3  # A; a shorter vector is none
MIN_INDEPENDENCE = 1e-6  # smallest singular value of the normalized periodic lattice vectors


@dataclass(frozen=True)
class Structure:
    """positions [N, 3], cell [3, 3] (float64, A), pbc [3], and the pseudo-inverse [3, k] of the k periodic lattice
    vectors: ``r @ inverse`` are the fractional coordinates along the periodic axes. Where these vectors make the cell
    thin, ``basis`` [3, 3] has short vectors of the lattice in terms of them: ``basis @ cell``."""

    positions: Floats
    cell: Floats
    pbc: Bools
    inverse: Floats
    basis: Ints | None = None

    @property
    def periodic_cell(self) -> Floats:
        """[k, 3] lattice vectors of the periodic axes."""
        return self.cell[self.pbc]

    def wrapped(self) -> tuple[Floats, Floats]:
        """Positions within the cell along the periodic axes, and the lattice vectors [N, 3] subtracted from each."""
        wraps = np.zeros_like(self.positions)
        folds = np.floor(self.positions @ self.inverse)
        wraps[:, self.pbc] = folds
        return self.positions - folds @ self.periodic_cell, wraps


def as_array(value: ArrayLike, dtype: Any) -> npt.NDArray[Any]:
    """A numpy array on the host, whatever came in."""
    if isinstance(value, Tensor):
        value = value.detach().to("cpu").numpy()
    return np.asarray(value, dtype=dtype)


def output_device(positions: ArrayLike) -> torch.device:
    """Neighbour lists return on the device of the positions, the CPU for what is not a tensor."""
    return positions.device if isinstance(positions, Tensor) else torch.device("cpu")


def check_cutoff(cutoff: float) -> float:
    """The cutoff as a float; ValueError unless positive and finite."""
    cutoff = float(cutoff)
    if not (math.isfinite(cutoff) and cutoff > 0.0):
        raise ValueError(f"cutoff must be a positive, finite distance in A, got {cutoff}")
    return cutoff


def check_max_neighbors(max_neighbors: int | None) -> int | None:
    """The neighbour limit as an int or None; ValueError unless a positive integer."""
    if max_neighbors is None:
        return None
    if int(max_neighbors) != max_neighbors or max_neighbors < 1:
        raise ValueError(f"max_neighbors must be None or a positive integer, got {max_neighbors}")
    return int(max_neighbors)


def spans_volume(cell: ArrayLike) -> bool:
    """Whether three lattice vectors span a volume, which a stress refers to; the lattice need not be periodic."""
    vectors = as_array(cell, np.float64)
    lengths = np.linalg.norm(vectors, axis=-1)
    if not (np.isfinite(lengths).all() and lengths.min() >= _MIN_LENGTH):
        return False
    return bool(np.linalg.svd(vectors / lengths[:, None], compute_uv=False).min() >= MIN_INDEPENDENCE)


def check_structure(positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike) -> Structure:
    """Read and check a structure.

    Raises:
        ValueError: wrong shapes, non-finite positions or lattice vectors, linearly dependent periodic lattice vectors.
    """
    r = as_array(positions, np.float64)
    if r.ndim != 2 or r.shape[1] != 3:
        raise ValueError(f"positions must have shape [N, 3], got {list(r.shape)}")
    h = as_array(cell, np.float64)
    if h.shape != (3, 3):
        raise ValueError(f"cell must have shape [3, 3] with lattice vectors as rows, got {list(h.shape)}")
    periodic = as_array(pbc, np.bool_)
    if periodic.ndim == 0:
        periodic = np.repeat(periodic, 3)
    if periodic.shape != (3,):
        raise ValueError(f"pbc must be one bool or three, got shape {list(periodic.shape)}")
    if not np.isfinite(h).all():
        raise ValueError(f"lattice vectors must be finite, got {h.tolist()}")
    if not np.isfinite(r).all():
        atom = int(np.flatnonzero(~np.isfinite(r).all(axis=1))[0])
        raise ValueError(f"positions must be finite: atom {atom} is at {r[atom].tolist()}")
    return Structure(r, h, periodic, *_periodic_inverse(h, periodic))


def _periodic_inverse(cell: Floats, pbc: Bools) -> tuple[Floats, Ints | None]:
    """``inverse`` and ``basis`` of a :class:`Structure`."""
    axes = np.flatnonzero(pbc)
    vectors = cell[axes]
    if axes.size == 0:
        return np.zeros((3, 0)), None
    lengths = np.linalg.norm(vectors, axis=1)
    if (lengths < MIN_HEIGHT).any():
        axis = int(axes[np.argmin(lengths)])
        raise ValueError(
            f"axis {axis} is periodic (pbc={pbc.tolist()}) but its lattice vector {cell[axis].tolist()} has no length; "
            "set pbc or the cell right"
        )
    independence = np.linalg.svd(vectors / lengths[:, None], compute_uv=False)[-1]
    if independence < MIN_INDEPENDENCE:
        raise ValueError(f"the periodic lattice vectors {vectors.tolist()} span zero volume; set pbc or the cell right")
    inverse = np.asarray(np.linalg.pinv(vectors), dtype=np.float64)
    if not _is_thin(inverse):
        return inverse, None
    # perhaps only these vectors of the lattice are skewed
    short, basis = minkowski_reduce(cell, pbc)
    if _is_thin(np.linalg.pinv(short[axes])):
        raise ValueError(f"the periodic cell {vectors.tolist()} is thinner than {MIN_HEIGHT} A")
    return inverse, basis


def _is_thin(inverse: Floats) -> bool:
    """Whether a cell of this inverse is thinner than ``MIN_HEIGHT`` in a periodic direction."""
    return bool((np.linalg.norm(inverse, axis=0) > 1.0 / MIN_HEIGHT).any())
