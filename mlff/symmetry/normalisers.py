"""Normalisers in O(3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mlff.symmetry.elements import Matrix
from mlff.symmetry.group import Group
from mlff.symmetry.identify import alignments
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.schoenflies import group_of


@lru_cache(maxsize=256)
def normaliser(group: Group) -> Group | LimitGroup:
    """All g of O(3) with g S g⁻¹ = S.

    C1 and Ci are left as they are by all of O(3), Cs, C_n, C_nh and S_2n by all rotations about their axis. The other
    groups have two axes, which g permutes, so that there are finitely many.

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> normaliser(point_group_named("C3v")), normaliser(point_group_named("C6"))
    (<D6h, 24 operations>, <D∞h, infinite>)
    """
    if len(group) == 1 or group.name == "Ci":
        return LimitGroup("Kh", group.frame)
    if is_cyclic(group):
        return LimitGroup("D∞h", group.frame)
    proper = alignments(group.matrices, group.matrices)
    return group_of(_unit_first(np.concatenate([proper, -proper])))


def is_cyclic(group: Group) -> bool:
    """Whether all axes are one: C_n, C_nh, S_2n, Cs; C1 and Ci have none."""
    return group.name in ("Cs", "Ci") or group.name[0] == "S" or (group.name[0] == "C" and group.name[-1] != "v")


def _unit_first(matrices: Matrix) -> Matrix:
    unit = int(np.argmax(np.trace(matrices, axis1=1, axis2=2)))
    order = [unit, *(k for k in range(len(matrices)) if k != unit)]
    return np.asarray(matrices[order])
