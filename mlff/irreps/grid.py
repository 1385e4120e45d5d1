"""Sphere grids: matrices that take spherical-harmonic coefficients to function values on the sphere and back."""

import math
from typing import Optional, Tuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlff.irreps.constants import spherical_harmonics
from mlff.irreps.layout import m_major_rows, node_degrees, order_rescaling


def exact_resolution(lmax: int, mmax: Optional[int] = None) -> Tuple[int, int]:
    """Smallest (latitudes, longitudes) on which products of two signals of degree lmax are projected without error.

    Gauss–Legendre latitudes are exact up to polynomial degree 2n − 1, equidistant longitudes up to order n − 1; the
    product against a test function has degree 3·lmax and order 3·mmax.
    """
    order = lmax if mmax is None else mmax
    return (3 * lmax + 2) // 2, 3 * order + 1


def minimal_resolution(lmax: int, mmax: Optional[int] = None) -> Tuple[int, int]:
    """Equiangular (latitudes, longitudes) that the published code chooses where no resolution is given.

    Just enough to take a signal of degree lmax to the grid and back; what a non-linearity adds is aliased.
    """
    if mmax is None or mmax == lmax:
        return 2 * lmax + 2, 2 * lmax + 3
    return 2 * lmax + 2, 2 * mmax + 1


def _equiangular(latitudes: int) -> Tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitudes π(j + ½)/n with the weights of Fejér's first rule, as in e3nn's S² grids."""
    angle = math.pi * (np.arange(latitudes) + 0.5) / latitudes
    order = np.arange(1, latitudes // 2 + 1)
    series = np.cos(2.0 * np.outer(angle, order)) / (4.0 * order**2 - 1.0)
    return np.cos(angle), 2.0 / latitudes * (1.0 - 2.0 * series.sum(axis=1))


def _matrices(
    lmax: int, cosine: NDArray[np.float64], weight: NDArray[np.float64], longitudes: int
) -> Tuple[Tensor, Tensor]:
    """Matrices to and from a grid, float64 [points,(lmax+1)²] and [(lmax+1)²,points].

    With component normalisation, where coefficients x of unit variance give a signal f of unit variance:
    f(p) = Σ_lm Y_lm(p) x_lm / √(lmax+1), and back by x_lm = (2l+1) √(lmax+1) Σ_p w_p Y_lm(p) f(p), w_p shares of the
    sphere, Y of :func:`spherical_harmonics`.
    """
    angle = 2.0 * math.pi * np.arange(longitudes) / longitudes
    sine = np.sqrt(1.0 - cosine**2)
    points = np.stack(
        [
            np.outer(sine, np.sin(angle)),
            np.outer(cosine, np.ones(longitudes)),
            np.outer(sine, np.cos(angle)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    harmonics = torch.from_numpy(spherical_harmonics(lmax, points))
    share = torch.from_numpy(np.repeat(weight, longitudes)) / (2.0 * longitudes)
    norm = math.sqrt(lmax + 1)
    return harmonics / norm, (harmonics * share[:, None]).t() * (2.0 * node_degrees(lmax)[:, None] + 1.0) * norm


class SphereGrid(nn.Module):
    """Signals on the sphere from coefficients, and back, as two constant matrices.

    >>> grid, x = SphereGrid(2), torch.ones(1, 9, 4, dtype=torch.float64)
    >>> torch.allclose(grid.from_grid(grid.to_grid(x)), x)
    True

    Args:
        lmax: highest degree.
        mmax: None for the node layout; otherwise the rows are those of the edge layout with `|m| ≤ mmax`.
        resolution: equiangular (latitudes, longitudes) as in the published EquiformerV2; None takes Gauss–Legendre
            latitudes of the size at which products of two signals are exact.
        rescale: edge layout only: apply :func:`order_rescaling` in both matrices, as published.
    """

    to_matrix: Tensor
    from_matrix: Tensor

    def __init__(
        self, lmax: int, mmax: Optional[int] = None, resolution: Optional[Tuple[int, int]] = None, rescale: bool = False
    ) -> None:
        super().__init__()
        latitudes, longitudes = exact_resolution(lmax, mmax) if resolution is None else resolution
        cosine, weight = np.polynomial.legendre.leggauss(latitudes) if resolution is None else _equiangular(latitudes)
        to_grid, from_grid = _matrices(lmax, cosine, weight, longitudes)
        if mmax is not None:
            rows = m_major_rows(lmax, mmax)
            to_grid, from_grid = to_grid[:, rows], from_grid[rows]
            if rescale:
                factor = order_rescaling(lmax, mmax)
                to_grid, from_grid = to_grid * factor, from_grid * factor[:, None]
        self.register_buffer("to_matrix", to_grid.contiguous(), persistent=False)  # [points, rows]
        self.register_buffer("from_matrix", from_grid.contiguous(), persistent=False)  # [rows, points]

    def to_grid(self, x: Tensor) -> Tensor:
        """Coefficients [N,rows,C] to values [N,points,C]."""
        return torch.matmul(self.to_matrix.to(x.dtype), x)

    def from_grid(self, values: Tensor) -> Tensor:
        """Values [N,points,C] to coefficients [N,rows,C]."""
        return torch.matmul(self.from_matrix.to(values.dtype), values)

    def scalar_from_grid(self, values: Tensor) -> Tensor:
        """Values [N,points,C] to the l = 0 coefficient only, [N,1,C]."""
        return torch.matmul(self.from_matrix[:1].to(values.dtype), values)
