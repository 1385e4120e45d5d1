"""A finite group of orthogonal matrices: multiplication, inverses, conjugacy, generated subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlff.support.errors import InputError
from mlff.symmetry.elements import CLOSE, Matrix, is_proper, turns

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


def same_entries(first: Matrix, second: Matrix) -> Mask:
    """Which of [N, 3, 3] are which of [M, 3, 3]: bool [N, M]."""
    overlap = first.reshape(len(first), 9) @ second.reshape(len(second), 9).T
    return overlap > 3.0 - CLOSE


def generated(generators: Sequence[Matrix], most: int) -> Matrix:
    """All products of generators, E first.

    Raises:
        InputError: there are more than ``most``.
    """
    found = np.eye(3)[None]
    border = found
    while len(border):
        products = np.concatenate([border @ generator for generator in generators])
        fresh = products[~same_entries(products, found).any(axis=1)]
        twins = np.triu(same_entries(fresh, fresh), 1).any(axis=0)
        border = fresh[~twins]
        found = np.concatenate([found, border])
        if len(found) > most:
            raise InputError(f"these matrices generate a group of more than {most} operations")
    return found


@dataclass(frozen=True, eq=False)
class Group:
    """A finite subgroup of O(3).

    Attributes:
        name: Schoenflies symbol.
        matrices: [n, 3, 3] orthogonal, E first.
        frame: [3, 3] rotation out of the standard orientation of the name: ``frame @ g @ frame.T`` for each operation
            g of ``point_group_named(name)`` is one of ``matrices``.
    """

    name: str
    matrices: Matrix
    frame: Matrix

    def __len__(self) -> int:
        return len(self.matrices)

    def __repr__(self) -> str:
        return f"<{self.name}, {len(self)} operations>"

    @cached_property
    def table(self) -> Indices:
        """[n, n]: index of the product of operations i and j."""
        products = np.einsum("aij,bjk->abik", self.matrices, self.matrices)
        overlap = products.reshape(-1, 9) @ self.matrices.reshape(len(self), 9).T
        return overlap.argmax(axis=1).reshape(len(self), len(self))

    @cached_property
    def inverse(self) -> Indices:
        """[n]: index of the inverse of each operation."""
        return np.argmax(self.table == 0, axis=1)

    @cached_property
    def conjugation(self) -> Indices:
        """[n, n]: index of g h g⁻¹, row g, column h."""
        return self.table[self.table, self.inverse[:, None]]

    @cached_property
    def classes(self) -> list[Indices]:
        """Conjugacy classes as indices of operations: E, rotations, i, S_n, reflections; high orders first."""
        proper, angles = is_proper(self.matrices), turns(self.matrices)
        found: list[Indices] = []
        for k in range(len(self)):
            if not any(k in members for members in found):
                found.append(np.unique(self.conjugation[:, k]))
        alone = (Fraction(0), Fraction(1, 2))  # E, i

        def place(members: Indices) -> tuple[bool, bool, int, int]:
            improper, angle = not proper[members[0]], angles[members[0]]
            return improper, angle != alone[improper], -angle.denominator, len(members)

        return sorted(found, key=place)

    def indices(self, matrices: Matrix) -> Indices:
        """Where matrices [N, 3, 3] stand among those of this group.

        Raises:
            InputError: one is none of them.
        """
        same = same_entries(matrices, self.matrices)
        if not same.any(axis=1).all():
            raise InputError(f"not all of these matrices belong to {self.name}")
        return same.argmax(axis=1)

    def mask(self, indices: Indices) -> Mask:
        """The set of operations as bool [n]."""
        found = np.zeros(len(self), dtype=bool)
        found[indices] = True
        return found

    def closure(self, members: Mask) -> Mask:
        """Subgroup that a set of operations generates, both as bool [n]."""
        members = members.copy()
        members[0] = True
        size = 0
        while size < members.sum():
            inside = np.flatnonzero(members)
            size = len(inside)
            members[self.table[inside[:, None], inside]] = True
        return members

    def conjugates(self, members: Mask) -> NDArray[np.bool_]:
        """The different sets g H g⁻¹: bool [number, n], the given one first."""
        images = self.conjugation[:, np.flatnonzero(members)]
        sets = np.zeros((len(self), len(self)), dtype=bool)
        np.put_along_axis(sets, images, True, axis=1)
        _, first = np.unique(np.packbits(sets, axis=1), axis=0, return_index=True)
        return sets[np.sort(first)]

    def turned(self, rotation: Matrix) -> Group:
        """The same group in another orientation, operations in the same order."""
        return Group(self.name, rotation @ self.matrices @ rotation.T, rotation @ self.frame)
