"""The point group of a molecule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mlff.support.errors import InputError
from mlff.symmetry.group import Group
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.matching import Operations, closed_subsets, find_operations, idealised
from mlff.symmetry.schoenflies import group_of, point_group_named
from mlff.symmetry.subgroups import subgroup_classes

TOLERANCE = 0.01  # A
_WIDEST = 1.0  # A, up to which a structure is called distorted from a group, and not another one


@dataclass(frozen=True, eq=False)
class MoleculeSymmetry:
    """The symmetry of a molecule.

    Attributes:
        group: point group in the orientation of the molecule; C∞v, D∞h or Kh of linear molecules and single atoms.
        centre: [3] the point that all operations leave where it is, in Å.
        deviation: largest distance between an atom and the image of another one that takes its place, in Å.
        tolerance: what was allowed, in Å.
        images: [n, N] for each operation of a finite group the atom to which each atom moves; of a linear molecule for
            E and, if there is one, i.
        positions: [N, 3] the nearest positions with exactly this symmetry, in Å.
    """

    group: Group | LimitGroup
    centre: NDArray[np.float64]
    deviation: float
    tolerance: float
    images: NDArray[np.intp]
    positions: NDArray[np.float64]

    @property
    def axis(self) -> NDArray[np.float64] | None:
        """[3] the principal axis (of D2 and the cubic groups: one of them); None if there is none."""
        no_axis = ("C1", "Ci", "K", "Kh")
        return None if self.group.name in no_axis else self.group.frame[:, 2]


def point_group(atoms: Atoms, tolerance: float = TOLERANCE) -> MoleculeSymmetry:
    """The point group of a molecule, of the positions and elements of its atoms.

    The largest group is taken all of whose operations move every atom to within the tolerance of another one.

    >>> from ase.build import molecule
    >>> point_group(molecule("C6H6")).group, point_group(molecule("CO2")).group
    (<D6h, 24 operations>, <D∞h, infinite>)

    Args:
        atoms: not periodic.
        tolerance: in Å.

    Raises:
        InputError: periodic, no atoms, atoms too close to be told apart, positions that are not finite.
    """
    _check(atoms, tolerance)
    centre = atoms.positions.mean(axis=0)
    positions, numbers = atoms.positions - centre, atoms.numbers
    along, spread = _line(positions)
    if spread <= 0.5 * tolerance:
        return _linear(positions, numbers, centre, along, spread, tolerance)
    found = find_operations(positions, numbers, tolerance)
    for closed in closed_subsets(found):
        exact, operations = idealised(positions, closed)
        if operations.deviations.max() <= tolerance:
            break
    operations = _unit_first(operations)
    group = group_of(operations.matrices)
    deviation = float(operations.deviations.max())
    return MoleculeSymmetry(group, centre, deviation, tolerance, operations.images, exact + centre)


def require_group(atoms: Atoms, name: str, tolerance: float = TOLERANCE) -> MoleculeSymmetry:
    """The symmetry of a molecule that has a point group, or a larger one, within tolerance.

    Raises:
        InputError: it has not; the message says what it has, and from which deviation on it would be symmetric. A
            linear molecule has no finite group.
    """
    wanted = point_group_named(name)
    found = point_group(atoms, tolerance)
    if isinstance(found.group, LimitGroup):
        if wanted.name in (found.group.name, *(["C∞v"] if found.group.name == "D∞h" else [])):
            return found
        what = "a single atom" if len(atoms) == 1 else "a linear molecule"
        raise InputError(
            f"{what} has infinitely many operations, its point group is {found.group.name} and not {wanted.name}; "
            "a finite group belongs to structures that are not linear"
        )
    if _holds(found.group, wanted):
        return found
    further, wider = "", tolerance
    while (wider := 1.5 * wider) < _WIDEST:
        try:
            loose = point_group(atoms, wider)
        except InputError:  # atoms that can no longer be told apart
            break
        if _holds(loose.group, wanted):
            further = f"; it is {loose.group.name} up to deviations of {loose.deviation:.3g} Å"
            break
    raise InputError(f"not {wanted.name} within {tolerance:g} Å: the point group is {found.group.name}{further}")


def _holds(group: Group | LimitGroup, wanted: Group | LimitGroup) -> bool:
    if isinstance(group, LimitGroup) or isinstance(wanted, LimitGroup):
        return group.name == wanted.name
    return any(one.label.rstrip("′") == wanted.name for one in subgroup_classes(group))


def _check(atoms: Atoms, tolerance: float) -> None:
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"the tolerance must be a positive length in Å, got {tolerance:g}")
    if len(atoms) == 0:
        raise InputError("a structure without atoms has no symmetry")
    if atoms.pbc.any():
        raise InputError("a periodic structure has a space group, not a point group of a molecule: use space_group")
    if not np.isfinite(atoms.positions).all():
        raise InputError("some positions are not finite")
    close = cKDTree(atoms.positions).query_pairs(2.0 * tolerance)
    if close:
        i, j = min(close)
        distance = np.linalg.norm(atoms.positions[i] - atoms.positions[j])
        raise InputError(
            f"atoms {i} and {j} are {distance:.3g} Å apart and cannot be told apart at a tolerance of {tolerance:g} Å; "
            "take a smaller one"
        )


def _line(positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The direction of largest extension and the largest distance from it."""
    along = np.linalg.svd(positions)[2][0]
    return along, float(np.linalg.norm(positions - np.outer(positions @ along, along), axis=1).max())


def _linear(
    positions: NDArray[np.float64],
    numbers: NDArray[np.int_],
    centre: NDArray[np.float64],
    along: NDArray[np.float64],
    spread: float,
    tolerance: float,
) -> MoleculeSymmetry:
    """Half a turn moves an atom by twice its distance from the axis."""
    heights = positions @ along
    same = np.arange(len(heights))
    frame = _with_axis(along)
    if len(heights) == 1:
        return MoleculeSymmetry(LimitGroup("Kh", np.eye(3)), centre, 0.0, tolerance, same[None], positions + centre)
    order = np.lexsort((numbers, heights))
    image = np.empty_like(order)
    image[order] = order[::-1]
    off = np.linalg.norm(positions + positions[image], axis=1).max()
    if (numbers == numbers[image]).all() and off <= tolerance:
        exact = np.outer(0.5 * (heights - heights[image]), along) + centre
        deviation = max(2.0 * spread, float(off))
        return MoleculeSymmetry(LimitGroup("D∞h", frame), centre, deviation, tolerance, np.array([same, image]), exact)
    exact = np.outer(heights, along) + centre
    return MoleculeSymmetry(LimitGroup("C∞v", frame), centre, 2.0 * spread, tolerance, same[None], exact)


def _with_axis(along: NDArray[np.float64]) -> NDArray[np.float64]:
    across = np.cross(along, np.eye(3)[np.argmin(abs(along))])
    across = across / np.linalg.norm(across)
    return np.stack([across, np.cross(along, across), along], axis=1)


def _unit_first(found: Operations) -> Operations:
    order = np.argsort(-np.trace(found.matrices, axis1=1, axis2=2), kind="stable")
    return Operations(found.matrices[order], found.images[order], found.deviations[order])
