"""Breaking sets of groups with one axis, C_n, C_nh, S_2n, Cs, and with none, C1 and Ci.

Their normalisers, D∞h and O(3), hold infinitely many rotations. A set is finite only if these leave its objects as they
are; otherwise the smallest one is a circle of tensors cos m(φ − φ₀) about the axis, or a few circles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mlff.symmetry.elements import CLOSE, Matrix, is_proper, turns
from mlff.symmetry.group import Group, Mask
from mlff.symmetry.isotropy import stabiliser
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.objects import cost, distinct_tensor, smallest_irreps
from mlff.symmetry.representations import Irrep, representation
from mlff.symmetry.schoenflies import finite_group

#: Groups that hold all rotations about the axis, or all, with the number of images of an object that they stabilise.
_SIZES = {"D∞h": {"D∞h": 1, "C∞v": 2, "D∞": 2, "C∞h": 2, "C∞": 4}, "Kh": {"Kh": 1, "K": 2}}
_STAND_IN = 9  # order of the axis of the finite groups that stand in for these; objects have degree 1 at most
# The axis y of the harmonics to z, z to x and x to y: cos mφ then counts from x.
_TO_Z: Matrix = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
#: Tensors that rotations about the axis leave as they are, but reflections or half turns do not.
_ALONG: tuple[tuple[Irrep, ...], ...] = ((), ((1, -1),), ((1, 1),), ((0, -1),), ((1, -1), (1, 1)))


@dataclass(frozen=True, eq=False)
class AxialObject:
    """An object of a breaking set of a group whose normaliser is infinite; attributes as of a breaking set."""

    stabiliser: Group | LimitGroup
    size: int | None
    circles: int
    irreps: list[Irrep]
    tensor: NDArray[np.float64]


def axial_object(whole: LimitGroup, group: Group, kept: Group, keeps: Callable[[Mask], bool]) -> AxialObject:
    """The object of the smallest set for S, from a finite set if there is one, else from circles.

    Args:
        whole: the normaliser, D∞h or Kh.
        group: S.
        kept: K.
        keeps: whether a subset of the operations of S is what the object may keep.
    """
    found = []
    for name, size in _SIZES[whole.name].items():
        limit = LimitGroup(name, whole.frame)
        if keeps(np.array([limit.contains(matrix) for matrix in group.matrices])):
            irreps, tensor = _standard_object(whole.name, name)
            turned = representation(irreps, whole.frame[None])[0] @ tensor
            found.append(AxialObject(limit, size, 0, irreps, turned))
    return min(found, key=lambda one: (one.size, cost(one.irreps)), default=None) or _circle(whole, group, kept, keeps)


@cache
def _standard_object(whole: str, name: str) -> tuple[list[Irrep], NDArray[np.float64]]:
    """Irreps and tensor of the stabiliser of one name in the normaliser, along z."""
    group, smaller = (finite_group(LimitGroup(one, np.eye(3)).stand_in(_STAND_IN)) for one in (whole, name))
    mask = group.mask(group.indices(smaller.matrices))
    irreps = smallest_irreps(group, mask)[0]
    return irreps, distinct_tensor(group, mask, irreps)


def _circle(whole: LimitGroup, group: Group, kept: Group, keeps: Callable[[Mask], bool]) -> AxialObject:
    """The smallest circle, or few circles.

    A tensor cos mφ about the axis has m equal directions, so m is the order of the axis that is kept. Operations that
    reverse the axis take it to itself or rotate it by half a period, so that one alone fills one circle; each tensor
    along the axis beside it halves what is left and doubles the circles.
    """
    order = max(turn.denominator for turn in turns(kept.matrices[is_proper(kept.matrices)]))
    found: list[tuple[tuple[int, int, int], AxialObject]] = []
    near = finite_group(f"D{2 * order}h").turned(whole.frame)
    for along, degree, sign in product(_ALONG, (order, order + 1), (1, -1)):
        irreps = [(degree, sign * (-1) ** degree), *along]
        pieces = [_about_z(degree, order), *(_about_z(other, 0) for other, _ in along)]
        tensor = representation(irreps, whole.frame[None])[0] @ np.concatenate(pieces)
        moved = np.linalg.norm(representation(irreps, group.matrices) @ tensor - tensor, axis=1)
        if keeps(moved < CLOSE):
            circles = 2 ** len(along)
            one = AxialObject(stabiliser(near, irreps, tensor), None, circles, irreps, tensor)
            found.append(((circles, cost(irreps), -sign), one))
    return min(found, key=lambda pair: pair[0])[1]


def _about_z(degree: int, order: int) -> NDArray[np.float64]:
    """cos(order·φ) about z, of norm 1."""
    proper = representation([(degree, 1)], _TO_Z[None])[0]
    return np.asarray(proper[:, degree + order])
