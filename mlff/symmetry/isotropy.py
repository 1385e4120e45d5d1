"""Which subgroups are all of the symmetry that some vector of a representation keeps, and what stabilises a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.support.errors import InputError
from mlff.symmetry.characters import character_table
from mlff.symmetry.group import Group, Mask
from mlff.symmetry.representations import Irrep, irreps_of, representation
from mlff.symmetry.schoenflies import group_of
from mlff.symmetry.subgroups import SubgroupClass, overgroups, subgroup_classes


@dataclass(frozen=True, eq=False)
class IsotropySubgroup:
    """A symmetry to which an order parameter can break a group.

    Attributes:
        subgroup: the class of subgroups.
        dimension: of the order parameters that the representative leaves as they are; 1: a definite direction.
    """

    subgroup: SubgroupClass
    dimension: int


def fixed_dimensions(traces: NDArray[np.float64], subsets: Sequence[Mask]) -> list[int]:
    """Dimension of what each subgroup leaves as it is, in a representation with these traces [n]."""
    return [round(float(traces[members].mean())) for members in subsets]


def isotropy_subgroups(group: Group, irrep: str) -> list[IsotropySubgroup]:
    """The symmetries that distortions of one irrep can leave, largest first, without the group itself.

    A subgroup is one of them if every larger one leaves fewer vectors as they are.

    A mode T1u of a cube can end in these symmetries:

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> found = isotropy_subgroups(point_group_named("Oh"), "T1u")
    >>> [(one.subgroup.label, one.subgroup.variants, one.dimension) for one in found]
    [('C4v', 6, 1), ('C3v', 8, 1), ('C2v′′', 12, 1), ('Cs', 24, 2), ('Cs′', 24, 2), ('C1', 48, 3)]

    Args:
        group: the symmetry before.
        irrep: Mulliken symbol, such as T1u.

    Raises:
        InputError: the group has no such irrep.
    """
    traces = character_table(group).of(irrep)
    found = []
    for one in reversed(subgroup_classes(group)):
        if one.order < len(group) and is_isotropic(group, one.mask, traces):
            found.append(IsotropySubgroup(one, fixed_dimensions(traces, [one.mask])[0]))
    return sorted(found, key=lambda one: (one.subgroup.variants, one.subgroup.label))


def is_isotropic(group: Group, members: Mask, traces: NDArray[np.float64]) -> bool:
    """Whether a subgroup is the stabiliser of a vector in a representation with these traces [n]."""
    (own,) = fixed_dimensions(traces, [members])
    return all(larger < own for larger in fixed_dimensions(traces, overgroups(group, members)))


def stabiliser(group: Group, irreps: str | list[Irrep], tensor: NDArray[np.float64], tolerance: float = 1e-6) -> Group:
    """The operations of a finite group that leave a tensor as it is.

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> stabiliser(point_group_named("Oh"), "1o", np.array([0.0, 0.0, 1.0]))
    <C4v, 8 operations>

    Args:
        group: the group.
        irreps: of the tensor, such as ``1o`` or ``0e+2e``.
        tensor: [d] components, in the conventions of :mod:`mlff.irreps`.
        tolerance: largest change, relative to the norm.

    Raises:
        InputError: the tensor has not the components of these irreps, or what is within tolerance forms no group.
    """
    irreps = irreps_of(irreps, tensor)
    moved = np.linalg.norm(representation(irreps, group.matrices) @ tensor - tensor, axis=1)
    members = moved <= tolerance * np.linalg.norm(tensor)
    if not (group.closure(members) == members).all():
        raise InputError(f"what leaves the tensor as it is within {tolerance:g} forms no group; change the tolerance")
    return group_of(group.matrices[members])
