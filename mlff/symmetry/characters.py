"""Character tables, computed from the multiplication table (Burnside; Dixon, Numer. Math. 10, 446, 1967)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlff.support.errors import InputError, RunError, unknown
from mlff.symmetry.group import Group
from mlff.symmetry.mulliken import mulliken_names
from mlff.symmetry.naming import class_sizes
from mlff.symmetry.representations import Irrep, characters

_TRIES = 50
_SPREAD = 1e-3  # least distance of eigenvalues, relative to the largest


@dataclass(frozen=True, eq=False)
class CharacterTable:
    """Characters of a group, columns in the order of ``group.classes``.

    Attributes:
        group: the group.
        complex: [k, k] the irreps over the complex numbers.
        names: [r] Mulliken symbols of the irreps over the real numbers, where a complex irrep and its conjugate are one
            (E of C3).
        real: [r, k] their characters.
    """

    group: Group
    complex: NDArray[np.complex128]
    names: list[str]
    real: NDArray[np.float64]

    @property
    def classes(self) -> list[str]:
        """Head of the table: E, 2C4, …"""
        return class_sizes(self.group)

    @property
    def dimensions(self) -> list[int]:
        """Of the real irreps."""
        return [round(float(row[0])) for row in self.real]

    def of(self, name: str) -> NDArray[np.float64]:
        """Character of a real irrep for each operation, [n].

        Raises:
            InputError: the group has no such irrep.
        """
        plain = name.strip().replace("''", "″").replace('"', "″").replace("'", "′")
        if plain not in self.names:
            raise InputError(unknown(f"irrep of {self.group.name}", name, self.names))
        return self.spread(self.real[self.names.index(plain)])

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values for each class as values for each operation, [n]."""
        found = np.empty(len(self.group))
        for members, value in zip(self.group.classes, values, strict=True):
            found[members] = value
        return found

    def multiplicities(self, traces: NDArray[np.float64]) -> dict[str, int]:
        """How often a representation with these traces, one for each operation, has each irrep; zeros are left out.

        Raises:
            InputError: the traces are those of no representation.
        """
        found = {}
        for name, row in zip(self.names, self.real, strict=True):
            own = self.spread(row)
            count = float(traces @ own / (own @ own))
            if abs(count - round(count)) > 1e-6 or count < -1e-6:
                raise InputError(f"these traces are those of no representation of {self.group.name}")
            if round(count):
                found[name] = round(count)
        return found

    def projector(self, name: str, matrices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Projector [d, d] onto all that turns as an irrep, in a representation by matrices [n, d, d]."""
        own = self.of(name)
        # For a pair of complex irreps own @ own is twice the order of the group.
        return np.asarray(np.einsum("n,nij->ij", own, matrices) * own[0] / (own @ own))


@lru_cache(maxsize=256)
def character_table(group: Group) -> CharacterTable:
    """The character table of a group.

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> table = character_table(point_group_named("C3v"))
    >>> table.names, table.classes
    (['A1', 'A2', 'E'], ['E', '2C3', '3σv'])
    >>> table.real.round(6) + 0.0
    array([[ 1.,  1.,  1.],
           [ 1.,  1., -1.],
           [ 2., -1.,  0.]])
    """
    table = _complex_table(group)
    own_conjugate = abs(table.imag).max(axis=1) < 1e-6
    rows = [row.real for row in table[own_conjugate]]
    pairs = table[~own_conjugate]
    for k, row in enumerate(pairs):
        if not any(abs(row.conj() - other).max() < 1e-6 for other in pairs[:k]):
            rows.append(2.0 * row.real)
    names, order = mulliken_names(group, np.array(rows))
    return CharacterTable(group, table, names, np.array(rows)[order])


def _complex_table(group: Group) -> NDArray[np.complex128]:
    """Common eigenvectors of the class matrices.

    With (M_i)_jk the number of ways in which an element of class k is a product of one of class i and one of class j,
    Σ_k M_ijk ω_k = ω_i ω_j for ω_i = |C_i| χ_i / χ_1. Scaled by the roots of the class sizes the M_i are normal and
    commute, so that a random real combination has orthogonal eigenvectors, √|C_i| χ_i.
    """
    sizes = np.array([len(members) for members in group.classes])
    of_class = np.empty(len(group), dtype=np.intp)
    for k, members in enumerate(group.classes):
        of_class[members] = k
    products = np.zeros((len(sizes),) * 3)
    for k, members in enumerate(group.classes):
        # g = x y with g fixed: y = x⁻¹ g
        right = group.table[group.inverse, members[0]]
        np.add.at(products[:, :, k], (of_class, of_class[right]), 1.0)
    root = np.sqrt(sizes)
    normal = products * root[None, None, :] / root[None, :, None]
    for seed in range(_TRIES):
        mixed = np.einsum("i,ijk->jk", np.random.default_rng(seed).normal(size=len(sizes)) / sizes, normal)
        values, vectors = np.linalg.eig(mixed)
        gaps = abs(values[:, None] - values[None, :]) + np.diag(np.full(len(values), np.inf))
        if gaps.min() > _SPREAD * abs(values).max() / len(sizes):
            break
    else:
        raise RunError(f"the characters of {group} cannot be told apart numerically; report this as a bug")
    found = (vectors / root[:, None]).T
    found = found / found[:, :1]  # χ / χ_1
    norms = (abs(found) ** 2 * sizes).sum(axis=1) / len(group)
    return np.asarray(found / np.sqrt(norms)[:, None])


def restricted(irreps: str | list[Irrep], group: Group) -> dict[str, int]:
    """How irreps of O(3) split in a group: the d shell in a cube:

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> restricted("2e", point_group_named("Oh"))
    {'Eg': 1, 'T2g': 1}
    """
    return character_table(group).multiplicities(characters(irreps, group.matrices))


def subduced(name: str, group: Group, subgroup: Group) -> dict[str, int]:
    """How an irrep of a group splits in a subgroup.

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> subduced("T1u", point_group_named("Oh"), point_group_named("C4v"))
    {'A1': 1, 'E': 1}

    Raises:
        InputError: no such irrep, or the operations of ``subgroup`` are none of ``group``.
    """
    traces = character_table(group).of(name)[group.indices(subgroup.matrices)]
    return character_table(subgroup).multiplicities(traces)
