"""The layers: self-interaction of a residue, convolution over residues, both told the time."""

from typing import List, NamedTuple

import torch
from torch import Tensor, nn

from mlff.equijump.network.config import JumpNetworkConfig
from mlff.equijump.network.context import ResidueGraph
from mlff.equijump.network.embedding import zero_linear
from mlff.irreps import (
    ChannelwiseProduct,
    GateActivation,
    MergedLayerNorm,
    SO2Convolution,
    SO3Linear,
    edge_degrees,
    node_degrees,
    order_sizes,
)


class Geometry(NamedTuple):
    """The edges of a state, shared by all layers."""

    basis: Tensor  # [E,num_radial]
    wigner: Tensor  # [E,T,(lmax+1)²]


class SelfInteraction(nn.Module):
    """Linear(MLP(x⁰) ⊙ (x ⊕ x ⊗ x)): gated linear and quadratic terms of the features of a residue.

    EquiJump, arXiv:2410.09667; there x ⊗ x is a tensor square, here the product of two linear maps of x.
    """

    degrees: Tensor
    path_of_row: Tensor
    paths: List[int]

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        self.lmax = config.lmax
        self.channels = config.channels
        self.input = SO3Linear(config.channels, 2 * config.channels, config.lmax)
        self.product = ChannelwiseProduct(config.lmax)
        path_degrees = self.product.path_degrees
        self.paths = [path_degrees.count(degree) for degree in range(config.lmax + 1)]
        self.num_gates = config.lmax + 1 + len(path_degrees)
        self.gate = nn.Sequential(
            nn.Linear(config.channels, config.channels),
            nn.SiLU(),
            nn.Linear(config.channels, self.num_gates * config.channels),
        )
        rows = [path for path, degree in enumerate(path_degrees) for _ in range(2 * degree + 1)]
        self.register_buffer("degrees", node_degrees(config.lmax), persistent=False)
        self.register_buffer("path_of_row", torch.tensor(rows) + config.lmax + 1, persistent=False)
        self.outputs = nn.ModuleList(
            nn.Linear((1 + count) * config.channels, config.channels, bias=degree == 0)
            for degree, count in enumerate(self.paths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[M,(lmax+1)²,C] → the same."""
        num_nodes = x.shape[0]
        first, second = self.input(x).chunk(2, dim=2)
        gates = self.gate(x[:, 0]).view(num_nodes, self.num_gates, self.channels)
        linear = first * gates.index_select(1, self.degrees)
        squares = self.product(first, second) * gates.index_select(1, self.path_of_row)
        out: List[Tensor] = []
        start = 0
        for degree, layer in enumerate(self.outputs):
            size, count = 2 * degree + 1, self.paths[degree]
            rows = squares[:, start : start + size * count].view(num_nodes, count, size, self.channels)
            start += size * count
            joined = [linear[:, degree * degree : (degree + 1) * (degree + 1)]]
            joined += list(rows.unbind(1))
            out.append(layer(torch.cat(joined, dim=2)))
        return torch.cat(out, dim=1)


class SpatialConvolution(nn.Module):
    """Messages between residues by SO(2) convolutions in the frames of the edges, averaged over the neighbours.

    The spatial convolution of EquiJump (arXiv:2410.09667) in the eSCN form (arXiv:2302.03655): weights depend on the
    distance of the anchors and on the offset in the chain.
    """

    degrees: Tensor

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        lmax, channels = config.lmax, config.message_channels
        self.lmax = lmax
        self.channels = channels
        self.of_source = SO3Linear(config.channels, channels, lmax)
        self.of_target = SO3Linear(config.channels, channels, lmax)
        self.offsets = nn.Embedding(2 * config.sequence_range + 2, config.edge_channels)
        self.radial_in = nn.Linear(config.num_radial, config.edge_channels)
        self.radial_out = nn.Sequential(
            nn.SiLU(),
            nn.Linear(config.edge_channels, config.edge_channels),
            nn.SiLU(),
            nn.Linear(config.edge_channels, 2 * (lmax + 1) * channels),
        )
        self.activation = GateActivation(lmax, lmax, channels)
        # without natural parity, as proteins are chiral
        self.first = SO2Convolution(channels, channels, lmax, lmax, num_extra=self.activation.num_scalars)
        self.second = SO2Convolution(channels, channels, lmax, lmax)
        self.output = SO3Linear(channels, config.channels, lmax)
        self.split_orders = [size * channels for size in order_sizes(lmax, lmax)]
        self.register_buffer("degrees", edge_degrees(lmax, lmax), persistent=False)

    def forward(self, x: Tensor, graph: ResidueGraph, geometry: Geometry) -> Tensor:
        """[M,(lmax+1)²,C] → the same."""
        num_edges, num_rows = geometry.wigner.shape[0], geometry.wigner.shape[1]
        pairs = self.of_source(x).index_select(0, graph.source) + self.of_target(x).index_select(0, graph.target)
        radial = self.radial_out(self.radial_in(geometry.basis) + self.offsets(graph.offset))
        weights, harmonics = radial.view(num_edges, 2, self.lmax + 1, self.channels).unbind(1)
        rows = torch.bmm(geometry.wigner, pairs) * weights.index_select(1, self.degrees)
        # spherical harmonics of the edge: in its frame they are the rows of m = 0
        rows = torch.cat([rows[:, : self.lmax + 1] + harmonics, rows[:, self.lmax + 1 :]], dim=1)
        blocks = list(rows.view(num_edges, num_rows * self.channels).split(self.split_orders, dim=1))
        blocks, gates = self.first(blocks)
        blocks, _ = self.second(self.activation(blocks, gates))
        rows = torch.cat(blocks, dim=1).view(num_edges, num_rows, self.channels)
        messages = torch.bmm(geometry.wigner.transpose(1, 2), rows)
        total = torch.zeros(x.shape[0], messages.shape[1], self.channels, dtype=x.dtype, device=x.device)
        total = total.index_add(0, graph.target, messages)
        return self.output(total * graph.inverse_degree.to(x.dtype)[:, None, None])


class ModulatedNorm(nn.Module):
    """Layer norm whose gains, and shift of l = 0, depend on an embedding of times."""

    degrees: Tensor

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        self.lmax = config.lmax
        self.channels = config.channels
        self.norm = MergedLayerNorm(config.lmax, config.channels)
        self.modulation = zero_linear(config.time_channels, (config.lmax + 2) * config.channels)
        self.register_buffer("degrees", node_degrees(config.lmax), persistent=False)

    def forward(self, x: Tensor, embedding: Tensor, batch: Tensor) -> Tensor:
        """Normalise [M,(lmax+1)²,C] by the embedding [B,time_channels] of each member."""
        modulation = self.modulation(embedding).view(embedding.shape[0], self.lmax + 2, self.channels)
        modulation = modulation.index_select(0, batch)
        x = self.norm(x) * (1.0 + modulation[:, : self.lmax + 1].index_select(1, self.degrees))
        return torch.cat([x[:, :1] + modulation[:, self.lmax + 1 :], x[:, 1:]], dim=1)


class ResidueLayer(nn.Module):
    """Convolution and self-interaction, each behind a norm and beside a residual path."""

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        self.norm1 = ModulatedNorm(config)
        self.convolution = SpatialConvolution(config)
        self.norm2 = ModulatedNorm(config)
        self.interaction = SelfInteraction(config)

    def forward(self, x: Tensor, graph: ResidueGraph, geometry: Geometry, embedding: Tensor) -> Tensor:
        """[M,(lmax+1)²,C] → the same."""
        x = x + self.convolution(self.norm1(x, embedding, graph.batch), graph, geometry)
        return x + self.interaction(self.norm2(x, embedding, graph.batch))
