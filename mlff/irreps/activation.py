"""Equivariant activations on the edge layout: gates and pointwise non-linearities on the sphere.

Each takes coefficients [E,T,in_channels] and scalars [E,num_scalars] and returns [E,T,channels].
"""

import torch
from torch import Tensor, nn

from mlff.irreps.grid import SphereGrid
from mlff.irreps.layout import edge_degrees


class GateActivation(nn.Module):
    """SiLU on l = 0, a sigmoid gate per degree and channel on l > 0. Exactly equivariant and cheap."""

    def __init__(self, lmax: int, mmax: int, channels: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.channels = channels
        self.in_channels = channels
        self.num_scalars = lmax * channels
        self.register_buffer("gate_of_row", edge_degrees(lmax, mmax)[1:] - 1, persistent=False)

    def forward(self, x: Tensor, scalars: Tensor) -> Tensor:
        """Rows may stop after the m = 0 block."""
        gates = torch.sigmoid(scalars).view(x.shape[0], self.lmax, self.channels)
        gates = gates.index_select(1, self.gate_of_row[: x.shape[1] - 1])
        return torch.cat([nn.functional.silu(x[:, :1]), x[:, 1:] * gates], dim=1)


class SeparableS2Activation(nn.Module):
    """EquiformerV2 (arXiv:2306.12059, section 4.3): SiLU of extra scalars on l = 0, SiLU on the sphere for l > 0.

    SiLU on a grid is not band-limited, so this is equivariant only up to the error of the grid.
    """

    def __init__(self, grid: SphereGrid, channels: int) -> None:
        super().__init__()
        self.grid = grid
        self.in_channels = channels
        self.num_scalars = channels

    def forward(self, x: Tensor, scalars: Tensor) -> Tensor:
        y = self.grid.from_grid(nn.functional.silu(self.grid.to_grid(x)))
        return torch.cat([nn.functional.silu(scalars)[:, None], y[:, 1:]], dim=1)


class SwiGLUS2Activation(nn.Module):
    """EquiformerV3's SwiGLU-S²: the product of two signals on the sphere, gated, plus SwiGLU on l = 0.

    The only non-linearity on the grid is a product, which is exact on the grid of :func:`exact_resolution`.
    """

    def __init__(self, grid: SphereGrid, channels: int) -> None:
        super().__init__()
        self.grid = grid
        self.channels = channels
        self.in_channels = 2 * channels
        self.num_scalars = 3 * channels

    def forward(self, x: Tensor, scalars: Tensor) -> Tensor:
        first, second = self.grid.to_grid(x).chunk(2, dim=-1)
        swish, linear, gate = scalars.split([self.channels, self.channels, self.channels], dim=-1)
        y = self.grid.from_grid(first * second) * torch.sigmoid(gate)[:, None]
        return torch.cat([y[:, :1] + (nn.functional.silu(swish) * linear)[:, None], y[:, 1:]], dim=1)
