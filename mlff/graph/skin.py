"""A neighbour list with a skin: searched rarely, filtered to the cutoff at every query."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlff.graph._structure import (
    ArrayLike,
    Floats,
    Structure,
    check_cutoff,
    check_max_neighbors,
    check_structure,
    output_device,
)
from mlff.graph.neighbors import limited, sorted_pairs


@dataclass
class _Reference:
    """Structure of the last search and its pairs within cutoff + skin, on the device of the positions."""

    structure: Structure
    source: Tensor  # [E] int64
    target: Tensor  # [E] int64
    shifts: Tensor  # [E, 3] float64
    cell: Floats  # the cell that belongs to shift_vectors
    shift_vectors: Tensor  # [E, 3] A


class SkinNeighborList:
    """Neighbour list for a sequence of structures that move little from one query to the next.

    Pairs are searched within ``cutoff + skin`` and kept as long as it can be proved that no pair from outside came
    closer than the cutoff; every query then measures the kept pairs and returns exactly those within the cutoff, the
    same edges in the same order as :func:`mlff.graph.neighbor_list`.

    The proof: let h0 and r0 be cell and positions of the search, h and r those of the query. The deformation
    ``F = 1 + h0^+ (h - h0)`` (periodic axes only, h0^+ the pseudo-inverse) maps h0 to h, and every atom is written as
    ``r = r0 F + n h + d`` with whole numbers n, which absorb atoms that were wrapped into the cell. A pair that was a
    vector v0 long is now ``v0 F + d_j - d_i``, thus not shorter than ``s |v0| - D`` with s the smallest singular value
    of F and D the sum of the two largest ``|d|``. The search is reused while ``s (cutoff + skin) - D >= cutoff``. For a
    constant cell this is the usual criterion, that no two atoms together moved by more than the skin; deformations of
    the cell, whole-cell jumps and a drift of all atoms do not force a search by themselves.

    Positions are copied, so that changing them in place between queries is safe.

    Args:
        cutoff: in A.
        skin: in A; 0 searches at every query.
        max_neighbors, max_neighbors_strict: as in :func:`mlff.graph.neighbor_list`, applied to the pairs within the
            cutoff.

    Attributes:
        queries: number of calls of :meth:`update`.
        rebuilds: number of searches among them.

    Raises:
        ValueError: cutoff not positive, skin negative, max_neighbors not positive.
    """

    def __init__(
        self, cutoff: float, skin: float = 0.5, max_neighbors: int | None = None, max_neighbors_strict: bool = True
    ) -> None:
        self.cutoff = check_cutoff(cutoff)
        self.skin = float(skin)
        if not (math.isfinite(self.skin) and self.skin >= 0.0):
            raise ValueError(f"skin must be a finite distance of at least 0 A, got {skin}")
        self.max_neighbors = check_max_neighbors(max_neighbors)
        self.max_neighbors_strict = max_neighbors_strict
        self.queries = 0
        self.rebuilds = 0
        self._reference: _Reference | None = None

    def update(
        self, positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, *, beyond: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Edges of a structure; arguments, results and errors as in :func:`mlff.graph.neighbor_list`.

        Args:
            beyond: all kept pairs, some of them beyond the cutoff, for models that look at the distances themselves.
        """
        structure = check_structure(positions, cell, pbc)
        device = output_device(positions)
        self.queries += 1
        reference, wraps = self._reference, None
        if reference is not None and reference.source.device == device:
            wraps = self._wraps_if_valid(reference.structure, structure)
        if reference is None or wraps is None:
            reference = self._search(structure, device)
            wraps = np.zeros((len(structure.positions), 3))
        if beyond and self.max_neighbors is None:
            shifts = _jumped(reference.source, reference.target, reference.shifts, wraps)
            return torch.stack([reference.source, reference.target]), shifts
        return self._within_cutoff(reference, structure, wraps, device)

    def _search(self, structure: Structure, device: torch.device) -> _Reference:
        # Copies, because the caller may go on changing its arrays in place.
        kept = copy.deepcopy(structure)
        source, target, shifts = sorted_pairs(kept, self.cutoff + self.skin)
        counts = torch.from_numpy(shifts).to(device)
        self._reference = _Reference(
            structure=kept,
            source=torch.from_numpy(source).to(device),
            target=torch.from_numpy(target).to(device),
            shifts=counts,
            cell=kept.cell,
            shift_vectors=counts @ torch.from_numpy(kept.cell).to(device),
        )
        self.rebuilds += 1
        return self._reference

    def _wraps_if_valid(self, old: Structure, new: Structure) -> Floats | None:
        """[N, 3] lattice vectors n that atoms jumped since the search; None if a new search is needed."""
        if old.positions.shape != new.positions.shape or not np.array_equal(old.pbc, new.pbc):
            return None
        wraps = np.zeros_like(new.positions)
        stretch, moved = 1.0, new.positions - old.positions
        if new.pbc.any():
            if not np.array_equal(old.periodic_cell, new.periodic_cell):
                change = old.inverse @ (new.periodic_cell - old.periodic_cell)
                stretch = float(np.linalg.svd(np.eye(3) + change, compute_uv=False)[-1])
                moved = moved - old.positions @ change
            jumps = np.rint(moved @ new.inverse)
            wraps[:, new.pbc] = jumps
            moved = moved - jumps @ new.periodic_cell
        # A drift of all atoms drops out of every pair; whichever bound is lower holds.
        approach = min(_two_largest(moved), _two_largest(moved - moved.mean(axis=0))) if len(moved) > 1 else 0.0
        safe = stretch * (self.cutoff + self.skin) - approach >= self.cutoff + 1e-9
        return wraps if safe else None

    def _within_cutoff(
        self, reference: _Reference, structure: Structure, wraps: Floats, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        if not np.array_equal(reference.cell, structure.cell):
            cell = structure.cell.copy()
            # Both or none, whatever interrupts: a new cell with the vectors of the old one would give wrong edges.
            reference.cell, reference.shift_vectors = cell, reference.shifts @ torch.from_numpy(cell).to(device)
        unwrapped = torch.from_numpy(structure.positions - wraps @ structure.cell).to(device)
        vectors = unwrapped.index_select(0, reference.source) - unwrapped.index_select(0, reference.target)
        vectors += reference.shift_vectors
        keep = torch.nonzero(torch.linalg.vector_norm(vectors, dim=1) <= self.cutoff).flatten()
        source, target = reference.source.index_select(0, keep), reference.target.index_select(0, keep)
        shifts = _jumped(source, target, reference.shifts.index_select(0, keep), wraps)
        return limited(structure, torch.stack([source, target]), shifts, self.max_neighbors, self.max_neighbors_strict)


def _jumped(source: Tensor, target: Tensor, shifts: Tensor, wraps: Floats) -> Tensor:
    """Shifts of pairs whose atoms jumped by lattice vectors [N, 3] since the search."""
    if not wraps.any():
        return shifts
    # The jump of a pair is the same for all its images: the order of the edges stays.
    jumps = torch.from_numpy(wraps).to(shifts.device)
    return shifts + jumps.index_select(0, target) - jumps.index_select(0, source)


def _two_largest(vectors: Floats) -> float:
    """Sum of the two largest lengths of [N >= 2, 3] vectors."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return float(np.partition(lengths, len(lengths) - 2)[-2:].sum())
