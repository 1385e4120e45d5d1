"""Breaking sets of groups with one axis, C_n, C_nh, S_2n, Cs, and with none, C1 and Ci.

Their normalisers, D∞h and O(3), hold infinitely many rotations. A set is finite only if these leave its objects as they
are; otherwise the smallest one is a circle of tensors cos m(φ − φ₀) about the axis, or a few circles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mlff.symmetry.elements import Matrix, is_proper, turns
from mlff.symmetry.group import Group, Mask
from mlff.symmetry.isotropy import stabiliser
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.objects import cost, distinct_tensor, smallest_irreps
from mlff.symmetry.representations import Irrep, format_irreps, representation
from mlff.symmetry.schoenflies import finite_group
from mlff.symmetry.subgroups import subgroup_class_of

#: Groups that hold all rotations about the axis, or all, with the number of images of an object that they stabilise.
_SIZES = {"D∞h": {"D∞h": 1, "C∞v": 2, "D∞": 2, "C∞h": 2, "C∞": 4}, "Kh": {"Kh": 1, "K": 2}}
_STAND_IN = 9  # order of the axis of the finite groups that stand in for these; objects have degree 1 at most
# The axis y of the harmonics to z, z to x and x to y: cos mφ then counts from x.
_TO_Z: Matrix = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
#: Tensors that rotations about the axis leave as they are, but reflections or half turns do not.
_ALONG: tuple[tuple[Irrep, ...], ...] = ((), ((1, -1),), ((1, 1),), ((0, -1),), ((1, -1), (1, 1)))


@dataclass(frozen=True, eq=False)
class LimitObject:
    """An object of a finite set: all rotations about the axis leave it as it is."""

    stabiliser: LimitGroup
    size: int
    irreps: str
    tensor: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Circle:
    """An object of an infinite set."""

    stabiliser: Group
    circles: int
    irreps: str
    tensor: NDArray[np.float64]


def limit_objects(whole: LimitGroup) -> list[LimitObject]:
    """Objects with each stabiliser that holds the rotations of D∞h or Kh."""
    found = []
    for name, size in _SIZES[whole.name].items():
        irreps, tensor = _standard_object(whole.name, name)
        turned = representation(irreps, whole.frame[None])[0] @ tensor
        found.append(LimitObject(LimitGroup(name, whole.frame), size, format_irreps(irreps), turned))
    return found


@cache
def _standard_object(whole: str, name: str) -> tuple[list[Irrep], NDArray[np.float64]]:
    group, smaller = (
        finite_group(LimitGroup(one, np.eye(3)).stand_in(_STAND_IN)) for one in (whole, name)
    )
    members = subgroup_class_of(group, smaller.matrices)
    mask = group.mask(group.indices(smaller.matrices))
    found = smallest_irreps(group, mask)
    assert found is not None and members.order == mask.sum()
    return found[0], distinct_tensor(group, mask, found[0])


def circle(whole: LimitGroup, keeps: Callable[[Mask], bool], group: Group, kept: Group) -> Circle:
    """The smallest circle, or few circles, of tensors whose stabiliser within a group is as wanted.

    A tensor cos mφ about the axis has m equal directions, so m is the order of the axis that is kept. Operations that
    reverse the axis take it to itself or rotate it by half a period, so that one alone fills one circle; each tensor
    along the axis beside it halves what is left and doubles the circles.

    Args:
        whole: D∞h with the axis.
        keeps: whether a subset of the operations of ``group`` is what is to be left.
        group: S.
        kept: K.
    """
    order = max(turn.denominator for turn in turns(kept.matrices[is_proper(kept.matrices)]))
    best: tuple[tuple[int, int, int], list[Irrep], NDArray[np.float64]] | None = None
    for along in _ALONG:
        for degree in (order, order + 1):
            for parity in ((-1) ** degree, -((-1) ** degree)):
                irreps = [(degree, parity), *along]
                circles = 2 ** len(along)
                pieces = [_about_z(degree, order), *(_about_z(other, 0) for other, _ in along)]
                tensor = representation(irreps, whole.frame[None])[0] @ np.concatenate(pieces)
                moved = representation(irreps, group.matrices) @ tensor - tensor
                key = (circles, cost(irreps), int(parity != (-1) ** degree))
                if keeps(np.linalg.norm(moved, axis=1) < 1e-6) and (best is None or key < best[0]):
                    best = key, irreps, tensor
    assert best is not None
    key, irreps, tensor = best
    near = finite_group(f"D{2 * order}h").turned(whole.frame)
    return Circle(stabiliser(near, irreps, tensor), key[0], format_irreps(irreps), tensor)


def _about_z(degree: int, order: int) -> NDArray[np.float64]:
    """cos(order·φ) about z, of norm 1."""
    proper = representation([(degree, 1)], _TO_Z[None])[0]
    return np.asarray(proper[:, degree + order])
