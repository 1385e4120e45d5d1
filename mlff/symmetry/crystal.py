"""Space group and site symmetry of a crystal, as spglib finds them (Togo & Tanaka, arXiv:1808.01590)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mlff.support.errors import InputError
from mlff.symmetry.elements import Matrix
from mlff.symmetry.group import Group
from mlff.symmetry.molecule import TOLERANCE
from mlff.symmetry.schoenflies import group_of


@dataclass(frozen=True, eq=False)
class CrystalSymmetry:
    """The symmetry of a crystal.

    Attributes:
        number: of the space group in the International Tables, 1–230.
        symbol: international symbol, such as Fm-3m.
        hall: Hall symbol, which states the setting, too.
        group: point group in the orientation of the crystal.
        rotations: [n, 3, 3] integer, acting on fractional coordinates of the given cell.
        translations: [n, 3] fractional.
        matrices: [n, 3, 3] the same rotations, Cartesian and orthogonal.
        images: [n, N] the atom to which each atom moves.
        deviation: largest distance between an atom and the image of another one that takes its place, in Å; what the
            lattice itself deviates is in it.
        tolerance: what was allowed, in Å (spglib's symprec).
        wyckoff: [N] Wyckoff letters.
        site_symbols: [N] site symmetries in oriented international symbols, such as ``4m.m``.
        equivalent: [N] index of the first atom of the same orbit.
    """

    number: int
    symbol: str
    hall: str
    group: Group
    rotations: NDArray[np.int_]
    translations: NDArray[np.float64]
    matrices: Matrix
    images: NDArray[np.intp]
    deviation: float
    tolerance: float
    wyckoff: list[str]
    site_symbols: list[str]
    equivalent: NDArray[np.intp]

    def site_group(self, index: int) -> Group:
        """Point group of the site of an atom, in the orientation of the crystal.

        Raises:
            InputError: no such atom.
        """
        if not 0 <= index < len(self.equivalent):
            raise InputError(f"atom {index} does not exist: there are {len(self.equivalent)} atoms, counted from 0")
        return group_of(_different(self.matrices[self.images[:, index] == index]))


def space_group(atoms: Atoms, tolerance: float = TOLERANCE) -> CrystalSymmetry:
    """The space group of a crystal, of the cell, the positions and the elements of its atoms.

    Across a slab, along the direction that is not periodic, the cell is given room that no operation can cross.

    >>> from ase.build import bulk
    >>> found = space_group(bulk("NaCl", "rocksalt", a=5.64))
    >>> found.number, found.symbol, found.group, found.site_group(0)
    (225, 'Fm-3m', <Oh, 48 operations>, <Oh, 48 operations>)

    Args:
        atoms: periodic.
        tolerance: in Å.

    Raises:
        InputError: not periodic or along one direction only, no volume, positions that are not finite, atoms on top of
            each other.
    """
    cell = _whole_cell(atoms, tolerance)
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    data = _dataset((cell, scaled, atoms.numbers), tolerance)
    if data is None:
        raise InputError(
            f"spglib finds no symmetry within {tolerance:g} Å: atoms may lie on top of each other, or the tolerance "
            "may be too large"
        )
    rotations, translations = np.asarray(data.rotations), np.asarray(data.translations)
    matrices = _orthogonal(cell, rotations)
    images, deviation = _images(cell, scaled, atoms.numbers, rotations, translations)
    return CrystalSymmetry(
        int(data.number), str(data.international), str(data.hall), group_of(_different(matrices)), rotations,
        translations, matrices, images, deviation, tolerance, list(data.wyckoffs), list(data.site_symmetry_symbols),
        np.asarray(data.crystallographic_orbits, dtype=np.intp),
    )  # fmt: skip


_ROOM = 20.0  # A


def _whole_cell(atoms: Atoms, tolerance: float) -> Matrix:
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"the tolerance must be a positive length in Å, got {tolerance:g}")
    if not atoms.pbc.any():
        raise InputError("the structure is not periodic: it has a point group and no space group, use point_group")
    if atoms.pbc.sum() == 1:
        raise InputError(
            "the structure is periodic along one direction: axes of chains have any order, which no space group can "
            "hold; give it three periodic directions if it stands for a crystal"
        )
    if len(atoms) == 0:
        raise InputError("a structure without atoms has no symmetry")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise InputError("some positions or cell vectors are not finite")
    cell: Matrix = np.array(atoms.cell.array)
    periodic = cell[atoms.pbc]
    if np.linalg.matrix_rank(periodic, tol=1e-6) < len(periodic):
        raise InputError("the cell has no extent along a periodic direction")
    across = np.linalg.svd(periodic)[2][len(periodic) :]
    if len(across):
        cell[~atoms.pbc] = across * (np.ptp(atoms.positions @ across[0]) + _ROOM)
    return cell


def _dataset(structure: Any, tolerance: float) -> Any:
    """spglib's answer; None where it has none, which its versions tell in different ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return spglib.get_symmetry_dataset(structure, symprec=tolerance)
        except Exception as error:
            if type(error).__module__.split(".")[0] != "spglib":
                raise
            return None


def _orthogonal(cell: Matrix, rotations: NDArray[np.int_]) -> Matrix:
    """Cartesian rotations of the nearest lattice that has exactly these: its metric is the average over them."""
    columns = cell.T
    metric = np.einsum("nji,jk,nkl->il", rotations, columns.T @ columns, rotations) / len(rotations)
    upper = np.linalg.cholesky(metric).T
    left, _, right = np.linalg.svd(columns @ np.linalg.inv(upper))
    basis = left @ right @ upper
    return np.asarray(basis @ rotations @ np.linalg.inv(basis))


def _different(matrices: Matrix) -> Matrix:
    """Each once, E first: centred cells have several translations for each."""
    _, first = np.unique(matrices.round(6).reshape(-1, 9) + 0.0, axis=0, return_index=True)
    order = sorted(first, key=lambda k: (-np.trace(matrices[k]).round(6), k))
    return np.asarray(matrices[order])


def _images(
    cell: Matrix, scaled: NDArray[np.float64], numbers: NDArray[np.int_], rotations: NDArray[np.int_], shifts: Any
) -> tuple[NDArray[np.intp], float]:
    """Where each operation takes each atom, and the largest distance to the atom there."""
    images = np.empty((len(rotations), len(scaled)), dtype=np.intp)
    deviation = 0.0
    for number in np.unique(numbers):
        members = np.flatnonzero(numbers == number)
        tree = cKDTree(scaled[members] % 1.0 % 1.0, boxsize=1.0)
        for k, (rotation, shift) in enumerate(zip(rotations, shifts, strict=True)):
            moved = scaled[members] @ rotation.T + shift
            images[k, members] = members[tree.query(moved % 1.0 % 1.0)[1]]
            apart = moved - scaled[images[k, members]]
            away = np.linalg.norm((apart - apart.round()) @ cell, axis=1)
            deviation = max(deviation, float(away.max()))
    return images, deviation
