"""Small structures at which models have been known to break; every model file carries them in its self-test."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from ase.data import covalent_radii


def edge_cases(species: Sequence[int], cutoff: float) -> list[tuple[str, ase.Atoms]]:
    """Named structures of a model's own elements, a few atoms each.

    One atom; atoms of all elements beyond the cutoff of each other (no edges); a cluster; a skewed periodic cell
    smaller than the cutoff; a periodic chain with atoms outside of the cell. The last three have no symmetry, so that
    no output vanishes.

    Args:
        species: atomic numbers.
        cutoff: in A.
    """
    first, last = int(species[0]), int(species[-1])
    bond = float(covalent_radii[first] + covalent_radii[last])
    # Edge of the small cell: room for two atoms, not so small that there are thousands of neighbours.
    edge = float(np.clip(1.15 * bond, 0.5 * cutoff, 0.8 * cutoff))

    apart = [*species, first]
    distant = np.array([[2.0 * cutoff, 0.1, -0.2]]) * np.arange(len(apart))[:, None]
    cluster = bond * np.array([[0.0, 0.0, 0.0], [0.11, 1.05, 0.07], [1.09, -0.15, 0.21], [0.2, 0.13, -1.1]])
    skewed = edge * np.array([[1.0, 0.03, 0.0], [0.1, 0.98, 0.05], [-0.07, 0.02, 1.04]])
    chain_cell = np.diag([2.3 * bond, 0.0, 0.0])
    chain = bond * np.array([[-0.2, 0.0, 0.1], [0.95, 0.1, 0.0], [2.9, 0.9, 0.2]])
    return [
        ("one atom", ase.Atoms(numbers=[first], positions=[[0.3, -0.2, 0.1]])),
        ("atoms beyond the cutoff", ase.Atoms(numbers=apart, positions=distant)),
        ("cluster", ase.Atoms(numbers=[first, last, first, last], positions=cluster)),
        (
            "cell smaller than the cutoff",
            ase.Atoms(
                numbers=[first, last], scaled_positions=[[0.02, 0.01, 0.0], [0.47, 0.52, 0.55]], cell=skewed, pbc=True
            ),
        ),
        ("chain", ase.Atoms(numbers=[first, last, first], positions=chain, cell=chain_cell, pbc=[True, False, False])),
    ]
