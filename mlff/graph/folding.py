"""Structures near the origin, so that rounding to float32 moves no atom much."""

from __future__ import annotations

from mlff.graph._structure import ArrayLike, Floats, check_structure


def folded(positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike) -> tuple[Floats, Floats]:
    """Positions folded by whole lattice vectors and centred.

    Args:
        positions, cell, pbc: as of :func:`mlff.graph.neighbor_list`.

    Returns:
        positions [N, 3] in A, and the lattice vectors [N, 3] that each was folded by: the shift of an edge becomes
        ``shift + wraps[source] - wraps[target]``.
    """
    inside, wraps = check_structure(positions, cell, pbc).wrapped()
    return inside - inside.mean(axis=0), wraps
