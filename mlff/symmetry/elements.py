"""Single operations of O(3): orthogonal matrices, their axes and their kind (C3, S4, σ, i).

Axes follow chemistry: the principal axis is z, C2′ of D_n and σv of C_nv lie along x; C2 of T and I along x, y, z.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

INVERSION: Matrix = -np.eye(3)
INVERSION.setflags(write=False)
CLOSE = 1e-6  # of entries of matrices of one group; those of different operations differ by 2π/120 or more
_FINEST = 240  # largest order of a rotation


def rotation(axis: tuple[float, float, float], turns: float) -> Matrix:
    """Rotation by a part of a turn about an axis, right-handed (Rodrigues).

    >>> rotation((0, 0, 1), 1 / 4).round(12) + 0.0
    array([[ 0., -1.,  0.],
           [ 1.,  0.,  0.],
           [ 0.,  0.,  1.]])
    """
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = 2.0 * np.pi * turns
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def reflection(normal: tuple[float, float, float]) -> Matrix:
    """Mirror image in the plane with that normal."""
    return -rotation(normal, 0.5)


def is_proper(matrices: Matrix) -> NDArray[np.bool_]:
    """Which of [..., 3, 3] are rotations."""
    return np.linalg.det(matrices) > 0


def axes(matrices: Matrix) -> Matrix:
    """Unit vectors [N, 3] along the axes: of rotations, and of −g for improper operations; zero for E and i.

    A rotation by less than half a turn is right-handed about its axis; for half a turn the largest component is
    positive.
    """
    proper = np.where(is_proper(matrices)[:, None, None], matrices, -matrices)
    cosine = 0.5 * (np.trace(proper, axis1=1, axis2=2) - 1.0)
    # R + Rᵀ − 2 cosθ = 2 (1 − cosθ) a aᵀ
    projector = 0.5 * (proper + proper.transpose(0, 2, 1)) - cosine[:, None, None] * np.eye(3)
    column = np.argmax(np.einsum("nii->ni", projector), axis=1)
    found = projector[np.arange(len(proper)), :, column]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    found = np.where(length > CLOSE**2, found / np.maximum(length, CLOSE**2), 0.0)
    curl = np.stack([proper[:, k - 1, k - 2] - proper[:, k - 2, k - 1] for k in range(3)], axis=1)
    sense = np.einsum("ni,ni->n", curl, found)
    return np.where(sense < -CLOSE, -1.0, 1.0)[:, None] * found


def turns(matrices: Matrix) -> list[Fraction]:
    """Rotation angle in turns, 0..1/2: of g, or of the rotation that g contains beside a reflection.

    >>> turns(np.array([np.eye(3), INVERSION, rotation((0, 0, 1), 0.4)]))
    [Fraction(0, 1), Fraction(1, 2), Fraction(2, 5)]
    """
    trace = np.trace(matrices, axis1=1, axis2=2)
    cosine = np.where(is_proper(matrices), 0.5 * (trace - 1.0), 0.5 * (trace + 1.0))
    angles = np.arccos(np.clip(cosine, -1.0, 1.0)) / (2.0 * np.pi)
    different, which = np.unique(angles.round(9), return_inverse=True)
    fractions = [Fraction(float(angle)).limit_denominator(_FINEST) for angle in different]
    return [fractions[k] for k in which]


def symbol(proper: bool, turn: Fraction) -> str:
    """Schoenflies symbol of an operation by its angle in turns, 0 ≤ turn < 1.

    >>> [symbol(True, Fraction(2, 5)), symbol(False, Fraction(1, 4)), symbol(False, Fraction(2, 3))]
    ['C5²', 'S4', 'S3⁵']
    """
    power, order = turn.numerator, turn.denominator
    if order == 1:
        return "E" if proper else "σ"
    if not proper and order == 2:
        return "i"
    if not proper and power % 2 == 0:
        power += order  # (σC)^k holds a reflection for odd k only
    raised = "" if power == 1 else str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{'C' if proper else 'S'}{order}{raised}"
