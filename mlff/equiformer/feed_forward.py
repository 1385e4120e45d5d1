"""Feed-forward networks on node features, with the non-linearity on a sphere grid."""

import torch
from torch import Tensor, nn

from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.radial import uniform_linear
from mlff.irreps import SO3Linear, SphereGrid


def _node_grid(config: EquiformerConfig) -> SphereGrid:
    resolution = None if config.grid_resolution is None else (config.grid_resolution, config.grid_resolution)
    return SphereGrid(config.lmax, None, resolution)


class GridFeedForward(nn.Module):
    """EquiformerV2: a pointwise SiLU network on the grid for l > 0, SiLU of a linear map on l = 0."""

    def __init__(self, config: EquiformerConfig, out_channels: int, scalars_only: bool = False) -> None:
        super().__init__()
        hidden = config.ffn_channels
        self.grid = _node_grid(config)
        self.scalars_only = scalars_only
        self.input = SO3Linear(config.channels, hidden, config.lmax)
        self.scalar_mlp = uniform_linear(config.channels, hidden)
        self.grid_in = uniform_linear(hidden, hidden, bias=False)
        self.grid_hidden = uniform_linear(hidden, hidden, bias=False)
        self.grid_out = uniform_linear(hidden, hidden, bias=False)
        # all degrees also where only scalars are asked: public weights hold them
        self.output = SO3Linear(hidden, out_channels, config.lmax)

    def forward(self, x: Tensor) -> Tensor:
        """[N,(lmax+1)²,C] → [N,(lmax+1)² or 1,out_channels]."""
        scalars = nn.functional.silu(self.scalar_mlp(x[:, :1]))
        if self.scalars_only:  # the l = 0 row of the grid branch is replaced, so nothing of that branch is read
            return self.output.scalars(scalars)
        # the outer linear maps of the grid network commute with the grid, and there are fewer rows than grid points
        y = nn.functional.silu(self.grid.to_grid(self.grid_in(self.input(x))))
        y = self.grid_out(self.grid.from_grid(nn.functional.silu(self.grid_hidden(y))))
        return self.output(torch.cat([scalars, y[:, 1:]], dim=1))


class ProductFeedForward(nn.Module):
    """EquiformerV3: a gated product of two signals on the sphere, plus SwiGLU on l = 0.

    The product is the only non-linearity on the grid; it is exact on the grid of :func:`mlff.irreps.exact_resolution`
    and raises the body order.
    """

    def __init__(self, config: EquiformerConfig, out_channels: int, scalars_only: bool = False) -> None:
        super().__init__()
        hidden = config.ffn_channels
        self.grid = _node_grid(config)
        self.scalars_only = scalars_only
        self.input = SO3Linear(config.channels, hidden, config.lmax)
        self.grid_in = uniform_linear(hidden, 2 * hidden, bias=False)
        self.gate = uniform_linear(config.channels, hidden)
        self.grid_out = uniform_linear(hidden, hidden, bias=False)
        self.scalar_mlp = uniform_linear(config.channels, 2 * hidden)
        self.output = SO3Linear(hidden, out_channels, 0 if scalars_only else config.lmax)
        with torch.no_grad():  # two terms meet on l = 0
            self.output.weight[0] *= 2.0**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """[N,(lmax+1)²,C] → [N,(lmax+1)² or 1,out_channels]."""
        # as above, linear maps of channels act on rows and not on grid points
        first, second = self.grid.to_grid(self.grid_in(self.input(x))).chunk(2, dim=2)
        product = first * second
        y = self.grid.scalar_from_grid(product) if self.scalars_only else self.grid.from_grid(product)
        y = self.grid_out(y * torch.sigmoid(self.gate(x[:, :1])))
        swish, linear = self.scalar_mlp(x[:, :1]).chunk(2, dim=2)
        scalars = y[:, :1] + nn.functional.silu(swish) * linear
        return self.output(scalars if self.scalars_only else torch.cat([scalars, y[:, 1:]], dim=1))


def feed_forward(config: EquiformerConfig, out_channels: int, scalars_only: bool = False) -> nn.Module:
    """The feed-forward network that the configuration asks for."""
    if config.feed_forward == "product":
        return ProductFeedForward(config, out_channels, scalars_only)
    return GridFeedForward(config, out_channels, scalars_only)
