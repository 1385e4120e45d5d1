"""Smooth cutoff functions."""

from typing import List

import torch
from torch import Tensor, nn


class PolynomialEnvelope(nn.Module):
    """Polynomial cutoff function that vanishes with its first two derivatives at ``x = 1``.

    ``u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2)`` for ``x < 1``, exactly zero from there on
    (Gasteiger et al., "Directional message passing for molecular graphs", ICLR 2020, eq. 8). With ``p = 5`` it reads
    ``1 - 21 x^5 + 35 x^6 - 15 x^7``. It is evaluated in the factored form ``(1-x)^3 sum_{k<p} C(k+2,2) x^k``, the same
    polynomial without the cancellation that the expanded form suffers close to the cutoff.

    Args:
        exponent: the power ``p``, an integer of at least 2.

    Raises:
        ValueError: if ``exponent`` is not an integer of at least 2.
    """

    coefficients: List[float]

    def __init__(self, exponent: int = 5) -> None:
        super().__init__()
        if int(exponent) != exponent or exponent < 2:
            raise ValueError(f"envelope exponent must be an integer of at least 2, got {exponent}")
        self.exponent = int(exponent)
        self.coefficients = [0.5 * (k + 1) * (k + 2) for k in range(self.exponent)]

    def forward(self, x: Tensor) -> Tensor:
        """Envelope at the scaled distance ``x = distance / cutoff`` (x >= 0, any shape); values in [0, 1]."""
        x = torch.clamp(x, max=1.0)  # also keeps 0 * inf out of the product for x far beyond the cutoff
        remainder = 1.0 - x
        series = torch.full_like(x, self.coefficients[self.exponent - 1])
        for k in range(self.exponent - 2, -1, -1):
            series = series * x + self.coefficients[k]
        return remainder * remainder * remainder * series
