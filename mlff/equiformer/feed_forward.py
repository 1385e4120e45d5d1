"""Feed-forward networks on node features, with the non-linearity on a sphere grid."""

import torch
from torch import Tensor, nn

from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.grids import sphere_grid
from mlff.equiformer.radial import uniform_linear
from mlff.irreps import SO3Linear, node_degrees


class GridFeedForward(nn.Module):
    """EquiformerV2: SiLU on the sphere grid for l > 0, SiLU of a linear map on l = 0.

    Args:
        mlp: a pointwise network of three linear maps on the grid; without, a single SiLU.
        joint: l = 0 from the grid as well.
        scalars_only: compute the l = 0 row only. The parameters stay the same, since public weights hold them.
    """

    def __init__(
        self,
        config: EquiformerConfig,
        out_channels: int,
        scalars_only: bool = False,
        mlp: bool = True,
        joint: bool = False,
    ) -> None:
        super().__init__()
        hidden = config.ffn_channels
        self.grid = sphere_grid(config, None)
        self.scalars_only = scalars_only
        self.input = SO3Linear(config.channels, hidden, config.lmax)
        self.scalar_mlp = None if joint else uniform_linear(config.channels, hidden)
        self.grid_in, self.grid_hidden, self.grid_out = (
            uniform_linear(hidden, hidden, bias=False) if mlp else nn.Identity() for _ in range(3)
        )
        self.mlp = mlp
        self.output = SO3Linear(hidden, out_channels, config.lmax)

    def forward(self, x: Tensor) -> Tensor:
        """[N,(lmax+1)²,C] → [N,(lmax+1)² or 1,out_channels]."""
        scalar_mlp = self.scalar_mlp
        scalars = x[:, :0]
        if scalar_mlp is not None:
            scalars = nn.functional.silu(scalar_mlp(x[:, :1]))
            if self.scalars_only:  # the l = 0 row of the grid branch is replaced, so nothing of that branch is read
                return self.output.scalars(scalars)
        # the outer linear maps of the grid network commute with the grid, and there are fewer rows than grid points
        y = nn.functional.silu(self.grid.to_grid(self.grid_in(self.input(x))))
        if self.mlp:
            y = nn.functional.silu(self.grid_hidden(y))
        if self.scalars_only:
            return self.output.scalars(self.grid_out(self.grid.scalar_from_grid(y)))
        y = self.grid_out(self.grid.from_grid(y))
        return self.output(y if scalar_mlp is None else torch.cat([scalars, y[:, 1:]], dim=1))


class GatedFeedForward(nn.Module):
    """EquiformerV2 without grids: SiLU on l = 0, a sigmoid gate per degree and channel on l > 0."""

    degrees: Tensor

    def __init__(self, config: EquiformerConfig, out_channels: int, scalars_only: bool = False) -> None:
        super().__init__()
        self.hidden = config.ffn_channels
        self.lmax = config.lmax
        self.scalars_only = scalars_only
        self.input = SO3Linear(config.channels, self.hidden, config.lmax)
        self.gate = uniform_linear(config.channels, config.lmax * self.hidden)
        self.output = SO3Linear(self.hidden, out_channels, config.lmax)
        self.register_buffer("degrees", node_degrees(config.lmax)[1:] - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N,(lmax+1)²,C] → [N,(lmax+1)² or 1,out_channels]."""
        if self.scalars_only:
            return self.output.scalars(nn.functional.silu(self.input.scalars(x)))
        gates = torch.sigmoid(self.gate(x[:, 0])).view(x.shape[0], self.lmax, self.hidden)
        y = self.input(x)
        gated = y[:, 1:] * gates.index_select(1, self.degrees)
        return self.output(torch.cat([nn.functional.silu(y[:, :1]), gated], dim=1))


class ProductFeedForward(nn.Module):
    """EquiformerV3: a gated product of two signals on the sphere, plus SwiGLU on l = 0.

    The product is the only non-linearity on the grid; it is exact on the grid of :func:`mlff.irreps.exact_resolution`
    and raises the body order.
    """

    def __init__(self, config: EquiformerConfig, out_channels: int, scalars_only: bool = False) -> None:
        super().__init__()
        hidden = config.ffn_channels
        self.grid = sphere_grid(config, None)
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
    kind = config.feed_forward
    if kind == "product":
        return ProductFeedForward(config, out_channels, scalars_only)
    if kind == "gate":
        return GatedFeedForward(config, out_channels, scalars_only)
    joint = kind == "joint_grid_mlp" or kind == "s2"
    return GridFeedForward(config, out_channels, scalars_only, mlp=kind.endswith("grid_mlp"), joint=joint)
