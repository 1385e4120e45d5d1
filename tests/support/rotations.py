"""Rotations of features, from spherical harmonics alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from mlff.irreps import num_coefficients, spherical_harmonics


def random_rotation(seed: int) -> torch.Tensor:
    """[3,3] float64."""
    return torch.from_numpy(Rotation.random(random_state=seed).as_matrix())


def rotation_about_y(angle: float) -> torch.Tensor:
    """[3,3] float64: a roll about the edge, which the edge frame takes to y."""
    return torch.from_numpy(Rotation.from_euler("y", angle).as_matrix())


def directions(count: int, seed: int = 0) -> np.ndarray:
    """[count,3] random unit vectors."""
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def wigner_matrix(rotation: torch.Tensor, lmax: int) -> torch.Tensor:
    """D(R) of the node layout by what defines it: Y(R v) = D(R) Y(v) for all v."""
    v = directions(4 * num_coefficients(lmax))
    solution, *_ = np.linalg.lstsq(
        spherical_harmonics(lmax, v), spherical_harmonics(lmax, v @ rotation.numpy().T), rcond=None
    )
    return torch.from_numpy(solution.T.copy())


def wigner_blocks(rotation: torch.Tensor, lmax: int) -> list[torch.Tensor]:
    """D_l(R), l = 0..lmax."""
    matrix = wigner_matrix(rotation, lmax)
    return [matrix[n * n : (n + 1) ** 2, n * n : (n + 1) ** 2] for n in range(lmax + 1)]
