"""Equivariant symmetry-breaking sets (Xie & Smidt, "Equivariant Symmetry Breaking Sets", TMLR 2024, arXiv:2402.02681).

An equivariant network cannot lower the symmetry S of its input. Given an object b as well it can, and the rule that
chooses among the objects is equivariant if their set B is closed under the normaliser of S.

=============  ===============================================================================================
paper          here
=============  ===============================================================================================
S, K           ``group``, ``subgroup``: the symmetry of the input and the one that is kept; C1 is full breaking
N(S, K)        ``normaliser``: all g of the normaliser of S with g K g⁻¹ conjugate to K in S
B, b           ``objects()`` or ``sample()``, ``tensor``
Stab(b) = M    ``stabiliser``, within N(S, K)
ideal          ``ideal``: \\|B\\| = \\|S\\| / \\|K\\|, no more objects than there are outcomes
=============  ===============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.support.errors import InputError
from mlff.symmetry.circles import axial_object
from mlff.symmetry.group import Group, Mask
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.normalisers import normaliser
from mlff.symmetry.objects import distinct_tensor, smallest_irreps
from mlff.symmetry.representations import format_irreps, representation
from mlff.symmetry.schoenflies import finite_group
from mlff.symmetry.subgroups import SubgroupClass, find_subgroups, part_of, subgroup_classes


@dataclass(frozen=True, eq=False)
class BreakingSet:
    """The smallest equivariant set of objects that breaks S to K.

    Attributes:
        group: S.
        subgroup: K, one of its conjugates and their class.
        normaliser: N(S, K).
        stabiliser: of the object within it.
        size: number of objects; None: infinitely many.
        circles: how many circles the objects of an infinite set fill.
        irreps: of the object.
        tensor: [d] one object, each of its irreps of norm 1, in the conventions of :mod:`mlff.irreps`.
    """

    group: Group
    subgroup: SubgroupClass
    normaliser: Group | LimitGroup
    stabiliser: Group | LimitGroup
    size: int | None
    circles: int
    irreps: str
    tensor: NDArray[np.float64]

    @property
    def ideal(self) -> bool:
        """Whether there is one object for each outcome."""
        return self.size == self.subgroup.variants

    def objects(self) -> NDArray[np.float64]:
        """All objects [size, d], the images of ``tensor``.

        Raises:
            InputError: there are infinitely many; draw some by :meth:`sample`.
        """
        if self.size is None:
            raise InputError(f"{self.group.name} to {self.subgroup.label}: the set is infinite; draw objects from it")
        group = self.normaliser if isinstance(self.normaliser, Group) else None
        matrices = _flips(self.normaliser) if group is None else group.matrices
        images = representation(self.irreps, matrices) @ self.tensor
        first = [k for k in range(len(images)) if not _near(images[k], images[:k]).any()]
        return images[first]

    def sample(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Objects [count, d] drawn evenly from the set, finite or not."""
        if isinstance(self.normaliser, Group):
            matrices = self.normaliser.matrices[rng.integers(len(self.normaliser), size=count)]
        else:
            matrices = np.array([self.normaliser.sample(rng) for _ in range(count)]).reshape(count, 3, 3)
        return representation(self.irreps, matrices) @ self.tensor


def breaking_sets(group: Group | str, subgroup: str = "C1", exact: bool = True) -> list[BreakingSet]:
    """The smallest equivariant breaking set for each class of subgroups of one name.

    From a cube to the six tetragonal variants, by a vector:

    >>> (found,) = breaking_sets("Oh", "C4v")
    >>> found.size, found.ideal, found.irreps, found.stabiliser
    (6, True, '1o', <C4v, 8 operations>)

    Args:
        group: S, as a group or by its name in the standard orientation.
        subgroup: K by name; C1 breaks all symmetry. A label with primes, such as C2v′, picks one class.
        exact: the object keeps K. Otherwise it may keep less, which can take fewer objects.

    Raises:
        InputError: no such group, an infinite one, or K is no subgroup of S.
    """
    group = finite_group(group) if isinstance(group, str) else group
    return [breaking_set(one, exact) for one in find_subgroups(group, subgroup)]


def breaking_set(subgroup: SubgroupClass, exact: bool = True) -> BreakingSet:
    """The smallest equivariant breaking set for one class of subgroups, see :func:`breaking_sets`."""
    group, whole = subgroup.parent, normaliser(subgroup.parent)
    if isinstance(whole, LimitGroup):
        one = axial_object(whole, group, subgroup.group, lambda members: _keeps(subgroup, members, exact))
        irreps, circles = format_irreps(one.irreps), one.circles
        return BreakingSet(group, subgroup, whole, one.stabiliser, one.size, circles, irreps, one.tensor)
    whole = _generalised_normaliser(whole, subgroup)
    place = whole.indices(group.matrices)
    allowed = [one for one in subgroup_classes(whole) if _keeps(subgroup, one.mask[place], exact)]
    largest = [one for one in allowed if one.order == allowed[-1].order]
    choices = [(*smallest_irreps(whole, one.mask), one) for one in largest]
    chosen, _, best = min(choices, key=lambda choice: choice[1])
    tensor = distinct_tensor(whole, best.mask, chosen)
    size = len(whole) // best.order
    return BreakingSet(group, subgroup, whole, best.group, size, 0, format_irreps(chosen), tensor)


def complement(group: Group) -> Group | LimitGroup | None:
    """H with H ∩ S = 1 and H S = N(S), the stabiliser of the objects of an ideal full set; None if there is none.

    >>> complement(finite_group("C4v")), complement(finite_group("C4"))
    (<C2v, 4 operations>, None)
    """
    (full,) = breaking_sets(group, "C1")
    return full.stabiliser if full.ideal else None


def _generalised_normaliser(whole: Group, subgroup: SubgroupClass) -> Group:
    """N(S, K): operations of N(S) that take K to one of its conjugates in S."""
    parent = subgroup.parent
    place = whole.indices(parent.matrices)
    conjugates = np.zeros((len(subgroup.members), len(whole)), dtype=bool)
    conjugates[:, place] = subgroup.members
    known = {one.tobytes() for one in conjugates}
    images = whole.conjugation[:, place[subgroup.mask]]
    keeps = np.array([whole.mask(image).tobytes() in known for image in images])
    return part_of(whole, keeps)


def _keeps(subgroup: SubgroupClass, members: Mask, exact: bool) -> bool:
    """Whether operations of S are K or one of its conjugates, or, unless exact, part of one."""
    if exact:
        return bool((subgroup.members == members).all(axis=1).any())
    return not (members & ~subgroup.members).any(axis=1).all()


def _flips(limit: LimitGroup | Group) -> NDArray[np.float64]:
    """One operation for each part that is connected."""
    diagonal = [(1, 1, 1), (1, -1, -1), (1, 1, -1), (-1, -1, -1)]
    return np.array([limit.frame @ np.diag(signs) @ limit.frame.T for signs in diagonal], dtype=float)


def _near(tensor: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(others - tensor, axis=1) < 1e-6)
