from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule, nanotube
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.graph import connected_lattice, neighbor_list

CUTOFF = 4.0


def rank(atoms: Atoms) -> int:
    edge_index, shifts = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF)
    lattice = connected_lattice(len(atoms), edge_index.numpy(), shifts.numpy())
    return int(np.linalg.matrix_rank(lattice)) if len(lattice) else 0


def boxed(atoms: Atoms, vacuum: float) -> Atoms:
    atoms.center(vacuum)
    atoms.pbc = True
    return atoms


CASES = {
    "no atoms around": (Atoms("Cu"), 0),
    "molecule": (molecule("C6H6"), 0),
    "molecule in a box": (boxed(molecule("C6H6"), 5.0), 0),
    "molecule that meets its images": (boxed(molecule("C6H6"), 1.5), 3),
    "tube": (nanotube(4, 0, length=1, vacuum=5), 1),
    "slab, open above": (fcc111("Cu", (2, 2, 2), vacuum=5), 2),
    "slab, declared periodic": (fcc111("Cu", (2, 2, 2), vacuum=5, periodic=True), 2),
    "bulk": (bulk("Cu"), 3),
}


@pytest.mark.parametrize("name", CASES)
def test_directions_in_which_atoms_hold_together(name: str) -> None:
    atoms, directions = CASES[name]
    assert rank(atoms) == directions


@settings(max_examples=20)
@given(st.sampled_from([*CASES]), st.integers(0, 2**31))
def test_neither_wrapping_nor_the_choice_of_the_cell_matters(name: str, seed: int) -> None:
    atoms, directions = CASES[name]
    rng = np.random.default_rng(seed)
    moved = atoms.copy()
    whole = rng.integers(-2, 3, size=(len(atoms), 3)) * atoms.pbc
    moved.positions += whole @ atoms.cell.array + rng.normal(size=3)
    assert rank(moved) == directions
    assert rank(moved.repeat(np.where(atoms.pbc, rng.integers(1, 3, size=3), 1))) == directions
