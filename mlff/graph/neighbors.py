"""The neighbour-list interface: all pairs of atoms and periodic images within a cutoff."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import vesin
from torch import Tensor

from mlff.graph._structure import (
    ArrayLike,
    Bools,
    Floats,
    Ints,
    Structure,
    check_cutoff,
    check_max_neighbors,
    check_structure,
    output_device,
)
from mlff.graph.torch_neighbors import torch_neighbor_list
from mlff.support.errors import unknown

TIE_TOLERANCE = 1e-6  # A; distances closer than this count as equal when neighbours are ranked
_MOST_CELLS = 9e4  # vesin ends the process on a flat grid of more than 1e5 cells
_DEGENERACY = 0.01  # A^2; of squared distances, with `max_neighbors_strict=False`; a constant of the public code


def neighbor_list(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    cutoff: float,
    *,
    max_neighbors: int | None = None,
    max_neighbors_strict: bool = True,
    backend: Literal["vesin", "torch"] = "vesin",
) -> tuple[Tensor, Tensor]:
    """Full neighbour list: all pairs (j, i, shift) with ``|r_j - r_i + shift @ cell| <= cutoff``, no atom with itself.

    Any cell is treated exactly: smaller than the cutoff, triclinic, left-handed, periodic along some axes only, with
    atoms outside of it; the lattice vectors of non-periodic axes are not used. Edges are ordered by target, source and
    shift, whatever the backend.

    Args:
        positions: [N, 3] in A, array or tensor.
        cell: [3, 3] in A, rows are lattice vectors.
        pbc: three bools, or one for all axes.
        cutoff: in A.
        max_neighbors: keep only that many nearest neighbours of every target, ranked by distance (in steps of
            1e-6 A, so that equal distances of a crystal are not ranked by rounding errors), source and shift (from
            the last lattice vector to the first). A list cut in this way is not symmetric and makes energies
            discontinuous.
        max_neighbors_strict: False keeps, beyond the limit, every neighbour whose squared distance exceeds that of the
            first one beyond it by at most 0.01 A^2, so that atoms at equal distance are kept or left out together
            (``enforce_max_neighbors_strictly: False`` of the public EquiformerV2).
        backend: ``"vesin"`` (cell list on the CPU) or ``"torch"`` (brute force on the device of the positions).

    Returns:
        edge_index [2, E] int64 (row 0 the source j, row 1 the target i) and shifts [E, 3] float64, on the device of the
        positions. No gradients flow through them.

    Raises:
        ValueError: wrong shapes, non-finite positions, a cutoff that is not positive, periodic lattice vectors
            that span no volume, an unknown backend.
    """
    cutoff = check_cutoff(cutoff)
    max_neighbors = check_max_neighbors(max_neighbors)
    structure = check_structure(positions, cell, pbc)
    device = output_device(positions)
    if backend == "vesin":
        source, target, shifts = sorted_pairs(structure, cutoff)
        edge_index, counts = torch.from_numpy(np.stack([source, target])), torch.from_numpy(shifts)
    elif backend == "torch":
        edge_index, counts = torch_neighbor_list(
            torch.as_tensor(positions).detach().to(torch.float64),
            torch.from_numpy(structure.cell).to(device),
            torch.from_numpy(structure.pbc).to(device),
            cutoff,
        )
    else:
        raise ValueError(unknown("neighbour-list backend", backend, ("vesin", "torch")))
    edge_index, counts = limited(structure, edge_index, counts, max_neighbors, max_neighbors_strict)
    return edge_index.to(device), counts.to(device)


def describe_neighbors(max_neighbors: int | None, max_neighbors_strict: bool) -> str:
    """The limit in words, for tables: ``all neighbours`` or ``the 20 nearest neighbours``."""
    if max_neighbors is None:
        return "all neighbours"
    more = "" if max_neighbors_strict else " and all as far as the next one"
    return f"the {max_neighbors} nearest neighbours{more}"


def sorted_pairs(structure: Structure, cutoff: float) -> tuple[Ints, Ints, Floats]:
    """Source [E], target [E] and shifts [E, 3] of all pairs within the cutoff, ordered by target, source and shift."""
    if len(structure.positions) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3))
    positions, cell, wraps = _compacted(_unskewed(structure), cutoff)
    # A hair more than the cutoff from the library, then one rule for who is inside, the same for every backend.
    radius = _search_radius(positions, cell, structure.pbc, cutoff * (1.0 + 1e-9) + 1e-9)
    search = vesin.NeighborList(cutoff=radius, full_list=True)
    pairs, shifts = search.compute(points=positions, box=cell, periodic=structure.pbc, quantities="PS", copy=True)
    target, source = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    if wraps.any():
        shifts = shifts + wraps[target] - wraps[source]
    if structure.basis is not None:
        shifts = shifts @ structure.basis
    order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], source, target))
    source, target, counts = source[order], target[order], shifts[order].astype(np.float64)
    # At the cutoff, too: in attention without envelope, as the public EquiformerV2 has, such an edge counts in full.
    inside = edge_lengths(structure.positions, structure.cell, source, target, counts) <= cutoff
    if inside.all():
        return source, target, counts
    return source[inside], target[inside], counts[inside]


def edge_lengths(positions: Floats, cell: Floats, source: Ints, target: Ints, shifts: Floats) -> Floats:
    """[E] distances in A."""
    vectors = positions[source]
    vectors -= positions[target]
    vectors += shifts @ cell
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def limited(
    structure: Structure, edge_index: Tensor, shifts: Tensor, max_neighbors: int | None, strict: bool
) -> tuple[Tensor, Tensor]:
    """Edges [2, E] and shifts [E, 3] of which every target keeps its nearest neighbours; None: all."""
    if max_neighbors is None:
        return edge_index, shifts
    kept = nearest(structure, edge_index.cpu().numpy(), shifts.cpu().numpy(), max_neighbors, strict)
    index = torch.from_numpy(kept).to(edge_index.device)
    return edge_index.index_select(1, index), shifts.index_select(0, index)


def nearest(structure: Structure, edge_index: Ints, shifts: Floats, max_neighbors: int, strict: bool) -> Ints:
    """Indices of the edges that remain when every target keeps its nearest neighbours; the order of edges stays."""
    source, target = edge_index
    lengths = edge_lengths(structure.positions, structure.cell, source, target, shifts)
    if not strict:
        return _nearest_with_degenerate(target, lengths**2, max_neighbors)
    ticks = np.rint(lengths / TIE_TOLERANCE)
    # An atom has several images of its own at one distance. The public EquiformerV2 leaves their rank to rounding; with
    # the last lattice vector counting most, ours agrees with its reference outputs.
    order = np.lexsort((shifts[:, 0], shifts[:, 1], shifts[:, 2], source, ticks, target))
    ranked = target[order]
    first = np.searchsorted(ranked, ranked)  # where the neighbours of a target begin
    return np.sort(order[np.arange(len(order)) - first < max_neighbors])


def _nearest_with_degenerate(target: Ints, squared: Floats, max_neighbors: int) -> Ints:
    order = np.lexsort((squared, target))
    ranked = target[order]
    first = np.searchsorted(ranked, ranked)
    # The first neighbour beyond the limit sets how far a target sees; where there is none, all of its edges stay.
    beyond = first + max_neighbors
    limited = beyond < np.searchsorted(ranked, ranked, side="right")
    reach = np.full(len(order), np.inf)
    reach[limited] = squared[order[beyond[limited]]] + _DEGENERACY
    return np.sort(order[squared[order] <= reach])


def _unskewed(structure: Structure) -> Structure:
    """The structure with the short vectors of its lattice: a thin cell has very many images within the cutoff."""
    if structure.basis is None:
        return structure
    cell = structure.basis @ structure.cell
    inverse = np.asarray(np.linalg.pinv(cell[structure.pbc]), dtype=np.float64)
    return Structure(structure.positions, cell, structure.pbc, inverse)


def _search_radius(positions: Floats, cell: Floats, pbc: Bools, radius: float) -> float:
    """The radius, or a larger one where vesin could not divide a wide and flat box into cells of this size.

    It coarsens a grid of too many cells by one factor for all directions, and a direction of few cells is left without
    any.
    """
    inverse = np.linalg.inv(cell)
    extent = np.where(pbc, 1.0 / np.linalg.norm(inverse, axis=0), np.ptp(positions @ inverse, axis=0))

    def too_flat() -> bool:
        cells = np.maximum(1.0, np.floor(extent / radius))
        return cells.prod() > _MOST_CELLS and cells.min() ** 3 * _MOST_CELLS < cells.prod()

    while too_flat():
        radius *= 1.1
    return radius


def _compacted(structure: Structure, cutoff: float) -> tuple[Floats, Floats, Floats]:
    """The same search in a small box: atoms wrapped along the periodic axes, empty space across them cut out.

    The cell list of vesin covers the volume between the outermost atoms; a molecule that flew away would cost minutes.
    Gaps wider than two cutoffs become two cutoffs wide, which separates no pair and joins none.

    Returns:
        positions [N, 3], cell [3, 3] with unit vectors in place of the lattice vectors of non-periodic axes, which are
        unused and may be zero, and wraps [N, 3], the lattice vectors subtracted from every atom.
    """
    periodic = structure.pbc
    cell, lattice = structure.cell.copy(), structure.periodic_cell
    positions, wraps = structure.wrapped()
    if not periodic.all():
        basis = np.linalg.svd(lattice.reshape(-1, 3), full_matrices=True)[2][len(lattice) :]
        cell[~periodic] = basis
        for direction in basis:
            height = positions @ direction
            order = np.argsort(height)
            gaps = np.diff(height[order])
            surplus = np.append(height[order[0]], np.maximum(gaps - 2.0 * cutoff, 0.0)).cumsum()
            positions[order] -= surplus[:, None] * direction
    return positions, cell, wraps
