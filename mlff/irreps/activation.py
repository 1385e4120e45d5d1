"""Equivariant activations on edges: gates and pointwise non-linearities on the sphere.

Each takes order blocks (see :class:`mlff.irreps.SO2Convolution`) of ``in_channels`` and scalars [E,num_scalars], and
returns order blocks of ``channels``.
"""

from typing import List

import torch
from torch import Tensor, nn

from mlff.irreps.grid import SphereGrid
from mlff.irreps.layout import order_sizes

GRID_VALUES_IN_CACHE = 2**20


class GateActivation(nn.Module):
    """SiLU on l = 0, a sigmoid gate per degree and channel on l > 0. Exactly equivariant and cheap."""

    skip: List[int]

    def __init__(self, lmax: int, mmax: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.in_channels = channels
        self.num_scalars = lmax * channels
        self.split_rows = [channels, lmax * channels]
        # order m starts at degree m: columns of the gates it leaves out
        self.skip = [(m - 1) * channels for m in range(1, mmax + 1) for _ in range(2)]

    def forward(self, blocks: List[Tensor], scalars: Tensor) -> List[Tensor]:
        """Gate ``blocks`` by ``scalars``, which are degree-major: [l = 1 … lmax, channels]."""
        gates = torch.sigmoid(scalars)
        zero, rest = blocks[0].split(self.split_rows, dim=1)
        out = [torch.cat([nn.functional.silu(zero), rest * gates], dim=1)]
        for block, skip in zip(blocks[1:], self.skip):  # noqa: B905 (TorchScript's zip takes no strict=)
            out.append(block * (gates if skip == 0 else gates[:, skip:]))
        return out


class _GridActivation(nn.Module):
    """What the activations on a sphere grid share: blocks to rows and back."""

    def __init__(self, grid: SphereGrid, lmax: int, mmax: int, channels: int) -> None:
        super().__init__()
        self.grid = grid
        self.channels = channels
        self.sizes = order_sizes(lmax, mmax)
        self.num_rows = sum(self.sizes)

    def rows(self, blocks: List[Tensor]) -> Tensor:
        """Order blocks to [E,T,C]."""
        x = torch.cat(blocks, dim=1)
        return x.view(x.shape[0], self.num_rows, x.shape[1] // self.num_rows)

    def blocks(self, scalars: Tensor, y: Tensor) -> List[Tensor]:
        """Scalars [E,C] in place of the l = 0 row of [E,T,C], as order blocks."""
        x = torch.cat([scalars, y[:, 1:].reshape(y.shape[0], (self.num_rows - 1) * self.channels)], dim=1)
        return list(x.split([size * self.channels for size in self.sizes], dim=1))


class S2Activation(_GridActivation):
    """SiLU on the sphere for all degrees (EquiformerV2, arXiv:2306.12059, section 4.3; Cohen et al., arXiv:1801.10130).

    SiLU on a grid is not band-limited, so this is equivariant only up to the error of the grid.
    """

    def __init__(self, grid: SphereGrid, lmax: int, mmax: int, channels: int) -> None:
        super().__init__(grid, lmax, mmax, channels)
        self.in_channels = channels
        self.num_scalars = 0
        self.edges_at_once = max(1, GRID_VALUES_IN_CACHE // (grid.to_matrix.shape[0] * channels))

    def on_grid(self, blocks: List[Tensor]) -> Tensor:
        """Order blocks to the activated rows [E,T,C]."""
        x = self.rows(blocks)
        if x.requires_grad:
            return self.grid.from_grid(nn.functional.silu(self.grid.to_grid(x)))
        # no values to keep for a backward pass: a few edges at a time, so that the grid stays in the cache
        parts: List[Tensor] = []
        for part in x.split(self.edges_at_once):
            parts.append(self.grid.from_grid(nn.functional.silu(self.grid.to_grid(part), inplace=True)))
        return torch.cat(parts)

    def forward(self, blocks: List[Tensor], scalars: Tensor) -> List[Tensor]:
        """Order blocks of ``channels`` in and out; ``scalars`` [E,0] are not read."""
        y = self.on_grid(blocks)
        return self.blocks(y[:, 0], y)


class SeparableS2Activation(S2Activation):
    """EquiformerV2's separable variant: SiLU of extra scalars on l = 0, SiLU on the sphere for l > 0."""

    def __init__(self, grid: SphereGrid, lmax: int, mmax: int, channels: int) -> None:
        super().__init__(grid, lmax, mmax, channels)
        self.num_scalars = channels

    def forward(self, blocks: List[Tensor], scalars: Tensor) -> List[Tensor]:
        """Order blocks of ``channels`` in and out."""
        return self.blocks(nn.functional.silu(scalars), self.on_grid(blocks))


class SwiGLUS2Activation(_GridActivation):
    """EquiformerV3's SwiGLU-S²: the product of two signals on the sphere, gated, plus SwiGLU on l = 0.

    The only non-linearity on the grid is a product, which is exact on the grid of :func:`exact_resolution`.
    """

    def __init__(self, grid: SphereGrid, lmax: int, mmax: int, channels: int) -> None:
        super().__init__(grid, lmax, mmax, channels)
        self.in_channels = 2 * channels
        self.num_scalars = 3 * channels

    def forward(self, blocks: List[Tensor], scalars: Tensor) -> List[Tensor]:
        """Order blocks of ``2·channels`` in, of ``channels`` out."""
        first, second = self.grid.to_grid(self.rows(blocks)).chunk(2, dim=2)
        swish, linear, gate = scalars.chunk(3, dim=1)
        y = self.grid.from_grid(first * second) * torch.sigmoid(gate)[:, None]
        return self.blocks(y[:, 0] + nn.functional.silu(swish) * linear, y)
