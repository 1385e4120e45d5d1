"""Orthogonal matrices that take a cloud of atoms to itself within a tolerance, with the permutations that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from mlff.symmetry.elements import Matrix

_LOOSE = 10.0  # times the tolerance: what a match that two atoms suggest may be off before all atoms have their say
_SPECIES_APART = 1e4  # A, between atoms of successive elements in the fourth direction of the search tree
_ROUNDS = 100
_EXACT = 1e-13


@dataclass(frozen=True, eq=False)
class Operations:
    """Candidates for symmetry operations, the most exact ones first.

    Attributes:
        matrices: [n, 3, 3] orthogonal.
        images: [n, N] the atom to which each atom is moved.
        deviations: [n] largest distance between the image of an atom and the atom it falls on, in Å.
    """

    matrices: Matrix
    images: NDArray[np.intp]
    deviations: NDArray[np.float64]


def find_operations(positions: NDArray[np.float64], numbers: NDArray[np.int_], tolerance: float) -> Operations:
    """All operations about the origin that are within tolerance, one by one.

    Two atoms that few others resemble are sent to all pairs that resemble them; every atom then says which one it falls
    on, and the best matrix for that permutation is taken.

    Args:
        positions: [N, 3] in Å about the centre, not all on a line.
        numbers: [N] atomic numbers.
        tolerance: in Å.
    """
    tree = cKDTree(_with_species(positions, numbers))
    radii = np.linalg.norm(positions, axis=1)
    first, second = _references(positions, numbers, radii, tolerance)
    pairs = [_alike(k, numbers, radii, 2.0 * tolerance) for k in (first, second)]
    apart = np.linalg.norm(positions[first] - positions[second])
    start = _frame(positions[first], positions[second])
    found: dict[tuple[bool, bytes], tuple[float, Matrix, NDArray[np.intp]]] = {}
    for a, b in product(*pairs):
        distance = np.linalg.norm(positions[a] - positions[b])
        if a == b or abs(distance - apart) > 4.0 * tolerance:
            continue
        for hand in (1.0, -1.0):
            guess = _frame(positions[a], positions[b]) @ np.diag([1.0, hand, 1.0]) @ start.T
            fitted = _fitted(guess, positions, numbers, tree, tolerance)
            if fitted is not None:
                found[hand > 0, fitted[2].tobytes()] = fitted
    ordered = sorted(found.values(), key=lambda one: one[0])
    deviations, matrices, images = zip(*ordered, strict=True)
    return Operations(np.array(matrices), np.array(images), np.array(deviations))


def idealised(positions: NDArray[np.float64], found: Operations) -> tuple[NDArray[np.float64], Operations]:
    """The nearest exactly symmetric positions [N, 3], and exact operations whose deviations are those of ``positions``.

    Positions are averaged over the operations, and the operations fitted to the average, in turn.
    """
    matrices, current = found.matrices, positions
    for _ in range(_ROUNDS):
        current = np.einsum("nji,naj->ai", matrices, positions[found.images]) / len(matrices)
        fitted = np.array(
            [
                _rotation_between(current, current[image], np.linalg.det(matrix) > 0)
                for matrix, image in zip(matrices, found.images, strict=True)
            ]
        )
        change = abs(fitted - matrices).max()
        matrices = fitted
        if change < _EXACT:
            break
    moved = positions @ matrices.transpose(0, 2, 1)
    deviations = np.linalg.norm(moved - positions[found.images], axis=2).max(axis=1)
    return current, Operations(matrices, found.images, deviations)


def closed_subsets(found: Operations) -> Iterator[Operations]:
    """The groups among these operations, by permutation and hand, those of most operations first."""
    table = _products(found)
    if (table >= 0).all():
        yield found
    groups = {_bits([]): np.zeros(len(table), dtype=bool)}
    latest = list(groups.values())
    while latest:  # each from a smaller one and one operation more
        larger = {}
        for group in latest:
            for k in np.flatnonzero(~group):
                grown = _generated(table, group, int(k))
                if grown is not None and (key := _bits(grown)) not in groups:
                    groups[key] = larger[key] = grown
        latest = list(larger.values())
    for group in sorted(groups.values(), key=lambda one: -int(one.sum())):
        if group.any() and not group.all():
            yield Operations(found.matrices[group], found.images[group], found.deviations[group])


def _products(found: Operations) -> NDArray[np.intp]:
    """[n, n] the operation that a product is; -1: none of these."""
    hands = (np.linalg.det(found.matrices) > 0).astype(np.intp)
    keys = np.concatenate([hands[:, None], found.images], axis=1)
    known = {key.tobytes(): k for k, key in enumerate(keys)}
    table = np.empty((len(keys), len(keys)), dtype=np.intp)
    for row, hand, image in zip(table, hands, found.images, strict=True):
        products = np.concatenate([(hands == hand).astype(np.intp)[:, None], image[found.images]], axis=1)
        row[:] = [known.get(key.tobytes(), -1) for key in products]
    return table


def _generated(table: NDArray[np.intp], group: NDArray[np.bool_], more: int) -> NDArray[np.bool_] | None:
    """What a group and one operation more generate; None: something that is not among the operations."""
    grown = group.copy()
    grown[more] = True
    while True:
        members = np.flatnonzero(grown)
        products = table[np.ix_(members, members)]
        if (products < 0).any():
            return None
        grown[products] = True
        if grown.sum() == len(members):
            return grown


def _bits(members: ArrayLike) -> bytes:
    return np.packbits(np.asarray(members, dtype=bool)).tobytes()


def _fitted(
    guess: Matrix, positions: NDArray[np.float64], numbers: NDArray[np.int_], tree: cKDTree, tolerance: float
) -> tuple[float, Matrix, NDArray[np.intp]] | None:
    limit = _LOOSE * tolerance
    for _ in range(3):
        distances, images = tree.query(_with_species(positions @ guess.T, numbers), distance_upper_bound=limit)
        if not np.isfinite(distances).all() or len(np.unique(images)) < len(images):
            return None
        better = _rotation_between(positions, positions[images], bool(np.linalg.det(guess) > 0))
        if abs(better - guess).max() < _EXACT:
            break
        guess = better
    deviation = float(np.linalg.norm(positions @ guess.T - positions[images], axis=1).max())
    return (deviation, guess, images) if deviation <= tolerance else None


def _rotation_between(start: NDArray[np.float64], end: NDArray[np.float64], proper: bool) -> Matrix:
    """The orthogonal matrix of one hand that takes points nearest to others (Kabsch, Acta Cryst. A32, 922, 1976)."""
    left, _, right = np.linalg.svd(end.T @ start)
    hand = np.linalg.det(left @ right) * (1.0 if proper else -1.0)
    return np.asarray(left @ np.diag([1.0, 1.0, np.sign(hand)]) @ right)


def _references(
    positions: NDArray[np.float64], numbers: NDArray[np.int_], radii: NDArray[np.float64], tolerance: float
) -> tuple[int, int]:
    """Two atoms, not on a line with the centre, far out and with few others like them."""
    counts = [len(_alike(k, numbers, radii, 2.0 * tolerance)) for k in range(len(radii))]
    first = _rarest(counts, radii)
    axis = positions[first] / radii[first]
    across = np.linalg.norm(positions - np.outer(positions @ axis, axis), axis=1)
    return first, _rarest(counts, across)


def _rarest(counts: list[int], distances: NDArray[np.float64]) -> int:
    far = np.flatnonzero(distances > 0.3 * distances.max())
    return int(min(far, key=lambda k: (counts[k], -distances[k])))


def _alike(k: int, numbers: NDArray[np.int_], radii: NDArray[np.float64], within: float) -> NDArray[np.intp]:
    return np.flatnonzero((numbers == numbers[k]) & (abs(radii - radii[k]) <= within))


def _with_species(positions: NDArray[np.float64], numbers: NDArray[np.int_]) -> NDArray[np.float64]:
    return np.concatenate([positions, _SPECIES_APART * numbers[:, None]], axis=1)


def _frame(first: NDArray[np.float64], second: NDArray[np.float64]) -> Matrix:
    """Orthonormal columns: along the first, across the plane, in the plane."""
    along = first / np.linalg.norm(first)
    across = np.cross(along, second)
    across = across / np.linalg.norm(across)
    return np.stack([along, across, np.cross(along, across)], axis=1)
