"""In how many directions the atoms of a structure hold together with their own periodic images."""

from __future__ import annotations

import numpy as np

from mlff.graph._structure import Floats, Ints


def connected_lattice(num_atoms: int, edge_index: Ints, shifts: Floats) -> Floats:
    """The lattice vectors that lead along edges from an atom to its own images, in numbers of lattice vectors [R, 3].

    Their rank is 0 for molecules, also in a periodic box that keeps their images apart, 1 for chains, 2 for slabs
    however their cell is declared, and 3 for bulk.

    Args:
        num_atoms: N.
        edge_index: [2, E] sources and targets, ordered by target, as of :func:`mlff.graph.neighbor_list`.
        shifts: [E, 3].
    """
    if not shifts.any():
        return np.zeros((0, 3))
    source, target = edge_index
    ends = np.searchsorted(target, np.arange(num_atoms + 1))
    offsets, seen = np.zeros((num_atoms, 3)), np.zeros(num_atoms, dtype=bool)
    for root in range(num_atoms):
        waiting = [] if seen[root] else [root]
        seen[root] = True
        while waiting:
            atom = waiting.pop()
            edges = np.arange(ends[atom], ends[atom + 1])
            edges = edges[~seen[source[edges]]]
            offsets[source[edges]] = offsets[atom] + shifts[edges]  # of several images any one will do
            seen[source[edges]] = True
            waiting.extend(set(source[edges].tolist()))
    loops = offsets[target] + shifts - offsets[source]
    return np.asarray(loops[loops.any(axis=1)])
