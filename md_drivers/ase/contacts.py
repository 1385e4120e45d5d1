"""Pairs of atoms that are closer than any chemistry allows.

Many potentials are smooth and finite there, so neither energies nor forces reveal that a structure has collapsed.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from torch import Tensor

from md_drivers.common.errors import StructureError
from mlff.graph import neighbor_list

#: Pairs below this distance in A are refused by the calculator: the direction of such a bond is noise.
SMALLEST_DISTANCE = 0.05
#: Pairs below this part of the sum of their covalent radii are close contacts; the shortest known bonds are near 0.75.
CONTACT_FRACTION = 0.5


def check_separate(atoms: Atoms, edge_index: Tensor, shifts: Tensor) -> None:
    """Make sure that no two atoms lie on top of each other.

    Args:
        atoms: the structure, positions in A.
        edge_index: [2, E] pairs as of ``mlff.graph.neighbor_list``.
        shifts: [E, 3] lattice-vector counts of the pairs.

    Raises:
        StructureError: a pair is closer than ``SMALLEST_DISTANCE``; the message names the atoms and the distance.
    """
    if edge_index.shape[1] == 0:
        return
    distances = _distances(atoms, edge_index.cpu().numpy(), shifts.cpu().numpy())
    closest = int(np.argmin(distances))
    if distances[closest] < SMALLEST_DISTANCE:
        pair = _label(atoms, *edge_index[:, closest].tolist())
        raise StructureError(
            f"atoms {pair} are {distances[closest]:.4f} A apart: two atoms lie on top of each other; "
            "remove one of them or correct the positions or the cell"
        )


def close_contacts(atoms: Atoms) -> tuple[str, ...]:
    """Pairs closer than half the sum of their covalent radii, shortest first, such as ``"C0-O1 0.420 A"``.

    Periodic images count as pairs, each pair once per distance. Positions and cell must be finite.
    """
    radii = covalent_radii[atoms.numbers]
    reach = 2.0 * CONTACT_FRACTION * float(radii.max())
    edge_index, shifts = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, reach)
    source, target = edge_index.numpy()
    distances = _distances(atoms, edge_index.numpy(), shifts.numpy())
    found = np.flatnonzero((distances < CONTACT_FRACTION * (radii[source] + radii[target])) & (source <= target))
    texts = [f"{_label(atoms, source[k], target[k])} {distances[k]:.3f} A" for k in found[np.argsort(distances[found])]]
    return tuple(dict.fromkeys(texts))


def _distances(atoms: Atoms, edge_index: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    source, target = edge_index
    vectors = atoms.positions[source] - atoms.positions[target] + shifts @ atoms.cell.array
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def _label(atoms: Atoms, source: int, target: int) -> str:
    first, second = sorted((int(source), int(target)))
    return f"{atoms.symbols[first]}{first}-{atoms.symbols[second]}{second}"
