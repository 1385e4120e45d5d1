"""Radial bases: expansions of an interatomic distance."""

import math

import torch
from torch import Tensor, nn

from mlff.graph._structure import check_cutoff


def _check_basis(num_basis: int, minimum: int, cutoff: float) -> None:
    if int(num_basis) != num_basis or num_basis < minimum:
        raise ValueError(f"num_basis must be an integer of at least {minimum}, got {num_basis}")
    check_cutoff(cutoff)


class GaussianBasis(nn.Module):
    """Gaussians on equidistant centres: ``exp(-((d - mu_k) / (width * delta))^2 / 2)``.

    ``mu = linspace(0, cutoff, num_basis)`` and ``delta = mu_1 - mu_0``. ``width = 2`` is the distance expansion of the
    published EquiformerV2 models (Liao et al., ICLR 2024); the centres are those of SchNet (Schuett et al., 2017).

    Args:
        num_basis: number of Gaussians, at least 2.
        cutoff: position of the last centre in A.
        width: standard deviation of a Gaussian in units of the spacing of the centres.

    Raises:
        ValueError: if an argument is out of range.
    """

    centers: Tensor

    def __init__(self, num_basis: int, cutoff: float, width: float = 2.0) -> None:
        super().__init__()
        _check_basis(num_basis, 2, cutoff)
        if not (math.isfinite(width) and width > 0.0):
            raise ValueError(f"width must be positive and finite, got {width}")
        self.num_basis = int(num_basis)
        self.cutoff = float(cutoff)
        self.width = float(width)
        spacing = self.cutoff / (self.num_basis - 1)
        self.scale = math.sqrt(0.5) / (self.width * spacing)
        self.register_buffer("centers", torch.linspace(0.0, self.cutoff, self.num_basis, dtype=torch.float64))

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances [E] (A) to [E, num_basis], in the dtype of the distances."""
        scaled = (distance.unsqueeze(-1) - self.centers.to(distance.dtype)) * self.scale
        return torch.exp(-(scaled * scaled))


def _sinc(z: Tensor) -> Tensor:
    """``sin(z) / z`` whose value and derivatives of every order are finite and accurate around zero."""
    small = z.abs() < 1.0
    # Both branches are evaluated by `where`, so each gets arguments that are harmless for it.
    inner = torch.where(small, z, torch.zeros_like(z))
    outer = torch.where(small, torch.ones_like(z), z)
    y = inner * inner
    # Taylor series to z^16; the next term is below 1e-17 for |z| < 1.
    series = torch.ones_like(z)
    for k in range(8, 0, -1):
        series = 1.0 - y / float(2 * k * (2 * k + 1)) * series
    return torch.where(small, series, torch.sin(outer) / outer)


class BesselBasis(nn.Module):
    """Radial Bessel functions ``sqrt(2 / cutoff) sin(n pi d / cutoff) / d`` for n = 1 .. num_basis.

    Source: Gasteiger et al., "Directional message passing for molecular graphs", ICLR 2020, eq. 7. Values and
    derivatives stay finite down to ``d = 0``.

    Args:
        num_basis: number of functions, at least 1.
        cutoff: distance in A where all functions vanish.

    Raises:
        ValueError: if an argument is out of range.
    """

    wavenumbers: Tensor

    def __init__(self, num_basis: int, cutoff: float) -> None:
        super().__init__()
        _check_basis(num_basis, 1, cutoff)
        self.num_basis = int(num_basis)
        self.cutoff = float(cutoff)
        self.prefactor = math.sqrt(2.0 / self.cutoff)
        order = torch.arange(1, self.num_basis + 1, dtype=torch.float64)
        self.register_buffer("wavenumbers", order * (math.pi / self.cutoff))

    def forward(self, distance: Tensor) -> Tensor:
        """Expand distances [E] (A) to [E, num_basis] (A^-3/2), in the dtype of the distances."""
        wavenumbers = self.wavenumbers.to(distance.dtype)
        return self.prefactor * wavenumbers * _sinc(distance.unsqueeze(-1) * wavenumbers)
