"""Channel-wise tensor product of two features of one node."""

from typing import List

import torch
from torch import Tensor, nn

from mlff.irreps.constants import clebsch_gordan
from mlff.irreps.layout import num_coefficients


class ChannelwiseProduct(nn.Module):
    """All products (l1, l2) → l3 with degrees up to lmax, channel by channel.

    z_k = Σ_ij C_ijk x_i y_j with C = :func:`clebsch_gordan` of (l1, l2, l3).

    SO(3)-equivariant; products such as 1 × 1 → 1, the cross product, tell mirror images apart. Each product is scaled
    so that inputs of unit variance give outputs of unit variance in every row.

    Attributes:
        path_degrees: degree l3 of every product, in the order of the output's rows.
    """

    table: Tensor
    path_degrees: List[int]

    def __init__(self, lmax: int) -> None:
        super().__init__()
        size = num_coefficients(lmax)
        columns: List[Tensor] = []
        self.path_degrees = []
        for l3 in range(lmax + 1):
            for l1 in range(lmax + 1):
                for l2 in range(abs(l1 - l3), min(lmax, l1 + l3) + 1):
                    coupling = torch.zeros(size, size, 2 * l3 + 1, dtype=torch.float64)
                    rows1, rows2 = slice(l1 * l1, (l1 + 1) ** 2), slice(l2 * l2, (l2 + 1) ** 2)
                    coupling[rows1, rows2] = torch.tensor(clebsch_gordan(l1, l2, l3))
                    columns.append(coupling.view(size * size, 2 * l3 + 1))
                    self.path_degrees.append(l3)
        self.register_buffer("table", torch.cat(columns, dim=1).t().contiguous(), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """[N,(lmax+1)²,C] twice → [N,R,C], R = Σ over products of 2·l3+1, products of one degree side by side."""
        outer = (x.unsqueeze(2) * y.unsqueeze(1)).flatten(1, 2)
        return torch.matmul(self.table.to(x.dtype), outer)
