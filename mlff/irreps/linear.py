"""Equivariant linear map."""

import math
from typing import List

import torch
from torch import Tensor, nn


class SO3Linear(nn.Module):
    """One weight matrix per degree, a bias on l = 0 only: [N,(lmax+1)²,in] → [N,(lmax+1)²,out]."""

    def __init__(self, in_channels: int, out_channels: int, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        bound = 1.0 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.empty(lmax + 1, out_channels, in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to [N,(lmax+1)²,in]."""
        parts: List[Tensor] = [self.scalars(x)]
        for degree in range(1, self.lmax + 1):
            rows = x[:, degree * degree : (degree + 1) * (degree + 1)]
            parts.append(nn.functional.linear(rows, self.weight[degree]))
        return torch.cat(parts, dim=1) if self.lmax > 0 else parts[0]

    def scalars(self, x: Tensor) -> Tensor:
        """The l = 0 row of the result only, [N,1,out]."""
        return nn.functional.linear(x[:, :1], self.weight[0], self.bias)
