"""Hydrogens that ride on the heavy atoms they are bonded to."""

from __future__ import annotations

import numpy as np

from md_drivers.common.errors import StructureError
from mlff.proteins import CloudLayout

_LONGEST_BOND = 1.6  # Å; S-H has 1.34
_LONGEST_HEAVY_BOND = 2.1  # Å; S-S has 2.05, and atoms with a common neighbour are 2.2 apart


class RidingHydrogens:
    """Places hydrogens by where they were in the local frames of their heavy atoms.

    The frame of a heavy atom is made of itself and two heavy atoms that follow along bonds: two neighbours, or a
    neighbour and its neighbour, so that methyl groups keep their torsion. Bond lengths to hydrogen stay; the angles
    that the frame does not fix change with the heavy atoms.

    Args:
        layout: of the molecule.
        heavy: [M,3] in Å, heavy atoms in the order of the layout.
        hydrogens: [H,3] in Å.

    Raises:
        StructureError: a hydrogen with no heavy atom near, or a heavy atom without two others along its bonds.
    """

    def __init__(self, layout: CloudLayout, heavy: np.ndarray, hydrogens: np.ndarray) -> None:
        distances = np.linalg.norm(hydrogens[:, None] - heavy[None], axis=-1)
        parents = distances.argmin(1) if len(hydrogens) else np.empty(0, dtype=np.int64)
        atoms = list(layout.topology.atoms)
        apart = np.linalg.norm(heavy[:, None] - heavy[None], axis=-1)
        bonded = (apart < _LONGEST_HEAVY_BOND) & ~np.eye(len(heavy), dtype=bool)
        neighbours = [np.flatnonzero(row).tolist() for row in bonded]
        triples = []
        for hydrogen, parent in enumerate(parents.tolist()):
            label = f"{atoms[parent].name} of {layout.labels[atoms[parent].residue.index]}"
            if not distances[hydrogen, parent] < _LONGEST_BOND:
                raise StructureError(
                    f"a hydrogen is {distances[hydrogen, parent]:.2f} Å from its nearest heavy atom, {label}; correct "
                    "the structure, or leave the hydrogens out"
                )
            first = neighbours[parent][:1]
            further = [*neighbours[parent][1:], *(k for n in first for k in neighbours[n] if k != parent)]
            if not further:
                raise StructureError(f"{label} is bonded to too few heavy atoms to place its hydrogens by")
            triples.append((parent, *first, further[0]))
        self._triples = np.array(triples, dtype=np.int64).reshape(-1, 3)

    def place(self, old_heavy: np.ndarray, old_hydrogens: np.ndarray, new_heavy: np.ndarray) -> np.ndarray:
        """Hydrogens [H,3] in Å that go with new positions of the heavy atoms [M,3]."""
        parents = self._triples[:, 0]
        local = np.einsum("hij,hj->hi", self._frames(old_heavy), old_hydrogens - old_heavy[parents])
        return new_heavy[parents] + np.einsum("hij,hi->hj", self._frames(new_heavy), local)

    def _frames(self, heavy: np.ndarray) -> np.ndarray:
        """[H,3,3], rows are the axes."""
        origin, first, second = (heavy[self._triples[:, k]] for k in range(3))
        x = _unit(first - origin)
        z = _unit(np.cross(x, second - origin))
        return np.stack([x, np.cross(z, x), z], axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
