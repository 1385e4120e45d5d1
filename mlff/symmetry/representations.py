"""Irreps of O(3) on the operations of a group: matrices, characters, invariants, isotypic parts."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from mlff.irreps import wigner_matrices
from mlff.support.errors import InputError
from mlff.symmetry.elements import Matrix, is_proper

Irrep = tuple[int, int]
"""Degree l and parity p = ±1 of an irrep of O(3)."""

HIGHEST_DEGREE = 64


def parse_irreps(text: str) -> list[Irrep]:
    """Irreps as in e3nn: ``1o``, ``0e+2e``, ``2x1o+1e``.

    >>> parse_irreps("2x1o+0e")
    [(1, -1), (1, -1), (0, 1)]

    Raises:
        InputError: written otherwise.
    """
    found: list[Irrep] = []
    for part in text.replace(" ", "").split("+"):
        match = re.fullmatch(r"(?:([1-9]\d{0,2})x)?(\d+)([eo])", part)
        if match is None or int(match[2]) > HIGHEST_DEGREE:
            raise InputError(f"irreps are written like 1o, 0e+2e or 2x1o, up to degree {HIGHEST_DEGREE}; got {text!r}")
        found += [(int(match[2]), 1 if match[3] == "e" else -1)] * int(match[1] or 1)
    return found


def irreps_of(irreps: str | list[Irrep], tensor: NDArray[np.float64]) -> list[Irrep]:
    """The irreps of a tensor [d]; InputError: it has not as many finite components."""
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    size = sum(2 * degree + 1 for degree, _ in irreps)
    if tensor.shape != (size,) or not np.isfinite(tensor).all():
        raise InputError(f"a tensor of these irreps has {size} finite components, got an array {list(tensor.shape)}")
    return irreps


def format_irreps(irreps: list[Irrep]) -> str:
    """The reverse of :func:`parse_irreps`."""
    return "+".join(f"{degree}{'e' if parity > 0 else 'o'}" for degree, parity in irreps)


def representation(irreps: str | list[Irrep], matrices: Matrix) -> NDArray[np.float64]:
    """Matrices of operations [n, 3, 3] on irreps of O(3): [n, d, d], in the conventions of :mod:`mlff.irreps`.

    A vector keeps its components (x, y, z), and an axial one is not changed by the inversion:

    >>> representation("1o+1e", -np.eye(3)[None])[0].diagonal()
    array([-1., -1., -1.,  1.,  1.,  1.])
    """
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    proper = is_proper(matrices)
    rotations = np.where(proper[:, None, None], matrices, -matrices)
    blocks = wigner_matrices(max(degree for degree, _ in irreps), rotations)
    size = sum(2 * degree + 1 for degree, _ in irreps)
    found = np.zeros((len(matrices), size, size))
    start = 0
    for degree, parity in irreps:
        stop = start + 2 * degree + 1
        found[:, start:stop, start:stop] = np.where(proper, 1, parity)[:, None, None] * blocks[degree]
        start = stop
    return found


def characters(irreps: str | list[Irrep], matrices: Matrix) -> NDArray[np.float64]:
    """Traces of :func:`representation`, [n], without its matrices."""
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    proper = is_proper(matrices)
    trace = np.where(proper, 1, -1) * np.trace(matrices, axis1=1, axis2=2)
    angle = np.arccos(np.clip(0.5 * (trace - 1.0), -1.0, 1.0))
    total = np.zeros(len(matrices))
    for degree, parity in irreps:
        one = 1.0 + 2.0 * np.cos(np.outer(angle, np.arange(1, degree + 1))).sum(axis=1)
        total += np.where(proper, 1, parity) * one
    return total


def invariants(irreps: str | list[Irrep], matrices: Matrix) -> NDArray[np.float64]:
    """An orthonormal basis [d, k] of what all operations of a group [n, 3, 3] leave as it is.

    The field along the axis of C4v, as a vector (x, y, z):

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> abs(invariants("1o", point_group_named("C4v").matrices)).round(12).tolist()
    [[0.0], [0.0], [1.0]]
    """
    return basis_of(representation(irreps, matrices).mean(axis=0))


def basis_of(projector: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis [d, k] of the image of an orthogonal projector [d, d]."""
    values, vectors = np.linalg.eigh(0.5 * (projector + projector.T))
    return vectors[:, values > 0.5]
