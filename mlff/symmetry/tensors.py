"""The stabiliser of a tensor in all of O(3).

A harmonic of degree l is, up to its scale, a product of l axes a·v (Maxwell's poles): on vectors v(z) with v·v = 0 it
is a polynomial of degree 2l whose roots are the directions ±a. Operations that keep the tensor permute these.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from mlff.irreps import spherical_harmonics
from mlff.support.errors import InputError
from mlff.symmetry.elements import Matrix, rotation
from mlff.symmetry.group import Group, same_entries
from mlff.symmetry.limits import LimitGroup
from mlff.symmetry.representations import Irrep, irreps_of, representation
from mlff.symmetry.schoenflies import group_of

_STEP = 1e-5  # of central differences, in turns
_LOOSE = 0.05  # of cosines: roots that fall together are known to a few digits only
_NEAR = 0.3  # of the norm: what a guess may change before it is refined
_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_GENERIC: Matrix = rotation((1.0, 2.0, 3.0), 0.1234)  # takes directions of symmetry away from the pole of the roots


def tensor_group(irreps: str | list[Irrep], tensor: NDArray[np.float64], tolerance: float = 1e-6) -> Group | LimitGroup:
    """All operations of O(3) that leave a tensor as it is.

    >>> tensor_group("1o", np.array([0.0, 0.0, 2.0])), tensor_group("1e", np.array([0.0, 0.0, 2.0]))
    (<C∞v, infinite>, <C∞h, infinite>)
    >>> tensor_group("2e", np.array([1.0, 0.0, 0.0, 0.0, 0.0]))
    <D2h, 8 operations>

    Args:
        irreps: of the tensor, such as ``1o`` or ``0e+2e``.
        tensor: [d] components, in the conventions of :mod:`mlff.irreps`.
        tolerance: largest change, relative to the norm.

    Raises:
        InputError: the tensor has not the components of these irreps, or what is within tolerance forms no group.
    """
    irreps = irreps_of(irreps, tensor)
    limit = tolerance * float(np.linalg.norm(tensor))
    _, lengths, directions = np.linalg.svd(_derivatives(irreps, tensor))
    still = 3 - int((lengths > max(limit, 1e-8 * float(np.linalg.norm(tensor)))).sum())
    if still == 3:
        return LimitGroup("Kh" if _moved(irreps, tensor, -np.eye(3)) <= limit else "K", np.eye(3))
    if still:
        return _axial(irreps, tensor, directions[2], limit)
    found = [np.eye(3)]
    for guess in _guesses(_poles(irreps, tensor, limit)):
        for hand in (1.0, -1.0):
            if _moved(irreps, tensor, hand * guess) > _NEAR * np.linalg.norm(tensor):
                continue
            matrix = _refined(irreps, tensor, hand * guess)
            if _moved(irreps, tensor, matrix) <= limit and not same_entries(matrix[None], np.array(found)).any():
                found.append(matrix)
    matrices = np.array(found)
    products = np.einsum("aij,bjk->abik", matrices, matrices).reshape(-1, 3, 3)
    if not same_entries(products, matrices).any(axis=1).all():
        raise InputError(f"what leaves the tensor as it is within {tolerance:g} forms no group; change the tolerance")
    return group_of(matrices)


def _moved(irreps: list[Irrep], tensor: NDArray[np.float64], matrix: Matrix) -> float:
    return float(np.linalg.norm(representation(irreps, matrix[None])[0] @ tensor - tensor))


def _derivatives(irreps: list[Irrep], tensor: NDArray[np.float64]) -> NDArray[np.float64]:
    """[d, 3]: change of the tensor with small rotations about x, y, z, per radian."""
    ends = np.array([rotation(axis, sign * _STEP) for sign in (1, -1) for axis in _AXES])
    turned = representation(irreps, ends) @ tensor
    return np.asarray((turned[:3] - turned[3:]).T / (4.0 * np.pi * _STEP))


def _axial(irreps: list[Irrep], tensor: NDArray[np.float64], axis: Matrix, limit: float) -> LimitGroup:
    across = np.cross(axis, np.eye(3)[np.argmin(abs(axis))])
    across = across / np.linalg.norm(across)
    frame = np.stack([across, np.cross(axis, across), axis], axis=1)
    names = {"C∞v": (1, -1, 1), "D∞": (1, -1, -1), "C∞h": (1, 1, -1)}
    kept = [name for name, signs in names.items() if _moved(irreps, tensor, frame @ np.diag(signs) @ frame.T) <= limit]
    return LimitGroup("C∞" if not kept else kept[0] if len(kept) == 1 else "D∞h", frame)


def _poles(irreps: list[Irrep], tensor: NDArray[np.float64], limit: float) -> list[Matrix]:
    """The directions ±a of each irrep, [2l, 3]."""
    found, start = [], 0
    turned = representation(irreps, _GENERIC[None])[0] @ tensor
    for degree, _ in irreps:
        part = turned[start : start + 2 * degree + 1]
        start += 2 * degree + 1
        if degree == 0 or np.linalg.norm(part) <= limit:
            continue
        z = np.exp(2j * np.pi * np.arange(2 * degree + 1) / (2 * degree + 1))
        null = np.stack([1 - z**2, 1j * (1 + z**2), 2 * z], axis=1)
        values = spherical_harmonics(degree, null)[:, degree**2 :] @ part  # type: ignore[arg-type]
        roots = np.roots((np.fft.fft(values) / len(z))[::-1])
        points = (
            np.stack([2 * roots.real, 2 * roots.imag, abs(roots) ** 2 - 1], axis=1) / (1 + abs(roots) ** 2)[:, None]
        )
        found.append(points @ _GENERIC)
    return found


def _guesses(poles: list[Matrix]) -> list[Matrix]:
    """Rotations that send two directions, not on a line, to pairs that resemble them."""
    block, first = 0, poles[0][0]
    pairs = [(k, point) for k, points in enumerate(poles) for point in points]
    other, second = min(pairs, key=lambda pair: abs(pair[1] @ first))
    start = _frame(first, second)
    return [
        _frame(a, b) @ start.T for a, b in product(poles[block], poles[other]) if abs(a @ b - first @ second) < _LOOSE
    ]


def _frame(first: Matrix, second: Matrix) -> Matrix:
    across = np.cross(first, second)
    across = across / np.linalg.norm(across)
    return np.stack([first, across, np.cross(first, across)], axis=1)


def _refined(irreps: list[Irrep], tensor: NDArray[np.float64], matrix: Matrix) -> Matrix:
    """Gauss-Newton steps towards an operation that leaves the tensor as it is."""
    slopes = _derivatives(irreps, tensor)
    for _ in range(20):
        left = representation(irreps, matrix[None])[0] @ tensor - tensor
        step = np.linalg.lstsq(slopes, -left, rcond=None)[0]
        length = float(np.linalg.norm(step))
        if length < 1e-15:
            break
        matrix = rotation(tuple(step), min(length, 0.2) / (2.0 * np.pi)) @ matrix
    return matrix
