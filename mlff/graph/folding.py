"""Structures near the origin, so that rounding to float32 moves no atom much."""

from __future__ import annotations

import numpy as np

from mlff.graph._structure import ArrayLike, Floats, Ints, check_structure


def folded(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, edge_index: Ints, shifts: Floats
) -> tuple[Floats, Floats]:
    """Positions folded by whole lattice vectors and centred, with shifts that leave every edge vector as it is.

    Args:
        positions, cell, pbc: as of :func:`mlff.graph.neighbor_list`.
        edge_index: [2, E], sources and targets.
        shifts: [E, 3] lattice vectors.

    Returns:
        positions [N, 3] in A and shifts [E, 3].
    """
    structure = check_structure(positions, cell, pbc)
    folds = np.floor(structure.positions @ structure.inverse)
    inside = structure.positions - folds @ structure.periodic_cell
    jumps = np.zeros_like(inside)
    jumps[:, structure.pbc] = folds
    source, target = edge_index
    return inside - inside.mean(axis=0), shifts + jumps[source] - jumps[target]
