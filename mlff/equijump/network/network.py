"""The network of EquiJump: a conditioner for the source, a header for every latent step."""

import math
from typing import Optional

import torch
from torch import Tensor, nn

from mlff.equijump.network.atoms import AtomDecoder, AtomEncoder, AtomPairs
from mlff.equijump.network.config import JumpNetworkConfig
from mlff.equijump.network.context import Condition, ResidueGraph, edge_geometry, residue_graph
from mlff.equijump.network.embedding import ResidueVectors, TimeEmbedding, zero_linear
from mlff.equijump.network.layers import Geometry, ResidueLayer
from mlff.graph.radial import GaussianBasis
from mlff.irreps import EdgeFrame, MergedLayerNorm, SO3Linear
from mlff.proteins.residues import NUM_CHANNELS, NUM_TOKENS

# Lag times are embedded by their logarithm, in this range of ps: 10 fs to 1 µs.
_LOG_LAG = (math.log(1e-2), math.log(1e6))
_LAG_FREQUENCIES = 32
_TIME_FREQUENCIES = 24
# Å; brings bond vectors to the size of a unit.
_VECTOR_SCALE = 1.5


class EdgeGeometry(nn.Module):
    """Anchors to what the layers know of edges."""

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        self.basis = GaussianBasis(config.num_radial, config.cutoff, width=1.0)
        self.frame = EdgeFrame(config.lmax, config.lmax)

    def forward(self, positions: Tensor, graph: ResidueGraph) -> Geometry:
        """Anchors [M,3] in Å to the geometry of the edges."""
        distance, direction = edge_geometry(positions, graph)
        return Geometry(basis=self.basis(distance), wigner=self.frame(direction))


class Conditioner(nn.Module):
    """Features of the source, the same in all latent steps (EquiJump's ``f_cond``)."""

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        self.num_neighbors = config.num_neighbors
        self.with_atoms = config.atom_channels > 0
        self.sequence_range = config.sequence_range
        self.num_rows = (config.lmax + 1) ** 2
        self.vector_scale = _VECTOR_SCALE
        self.residues = nn.Embedding(NUM_TOKENS, config.channels)
        self.ends = nn.Embedding(4, config.channels)
        self.atoms = AtomEncoder(config) if config.atom_channels else None
        self.vectors = ResidueVectors(NUM_CHANNELS - 1, config.channels)
        self.lag = TimeEmbedding(config.time_channels, _LAG_FREQUENCIES, _LOG_LAG[0], _LOG_LAG[1])
        self.geometry = EdgeGeometry(config)
        self.layers = nn.ModuleList(ResidueLayer(config) for _ in range(config.conditioner_layers))

    @torch.jit.export
    def graph(self, source: Tensor, residues: Tensor, atom_mask: Tensor, chains: Tensor) -> ResidueGraph:
        """What exchanges messages: coordinates [B,N,3,C] in Å, tokens and chains [B,N], mask [B,N,C]."""
        return residue_graph(
            source[..., 0], residues, atom_mask, chains, self.num_neighbors, self.sequence_range, self.with_atoms
        )

    def forward(self, source: Tensor, graph: ResidueGraph, lag: Tensor) -> Condition:
        """Coordinates [B,N,3,C] in Å, the graph of these, lag times [B] in ps."""
        scalars = self.residues(graph.residues) + self.ends(graph.ends)
        nodes = source.flatten(0, 1).index_select(0, graph.nodes)
        vectors = self.vectors(nodes[..., 1:] / self.vector_scale, graph.residues)
        if self.atoms is not None:
            of_pairs = self.atoms.residues(self.atoms(nodes, graph), graph)
            scalars, vectors = scalars + of_pairs[:, 0], vectors + of_pairs[:, 1:]
        higher = torch.zeros(
            nodes.shape[0], self.num_rows - 4, scalars.shape[1], dtype=nodes.dtype, device=nodes.device
        )
        x = torch.cat([scalars.unsqueeze(1), vectors, higher], dim=1)
        embedding = self.lag(torch.log(lag))
        geometry = self.geometry(nodes[..., 0], graph)
        for layer in self.layers:
            x = layer(x, graph, geometry, embedding)
        return Condition(graph=graph, source=source, features=x, lag=embedding)


class Header(nn.Module):
    """Outputs for a latent state: vectors for the anchors and all other atoms."""

    sigma: Tensor

    def __init__(self, config: JumpNetworkConfig, num_outputs: int, sigma: Tensor) -> None:
        super().__init__()
        self.num_outputs = num_outputs
        self.num_channels = NUM_CHANNELS
        self.vector_scale = _VECTOR_SCALE
        self.register_buffer("sigma", sigma.to(torch.float64), persistent=False)
        self.time = TimeEmbedding(config.time_channels, _TIME_FREQUENCIES, 0.0, 1.0)
        self.features = SO3Linear(config.channels, config.channels, config.lmax)
        self.atoms = AtomEncoder(config) if config.atom_channels else None
        self.vectors = ResidueVectors(2 * NUM_CHANNELS - 1, config.channels)
        self.geometry = EdgeGeometry(config)
        self.layers = nn.ModuleList(ResidueLayer(config) for _ in range(config.layers))
        self.norm = MergedLayerNorm(config.lmax, config.channels)
        self.output = ResidueVectors(config.channels, num_outputs * NUM_CHANNELS, scale=0.1)
        self.atom_output = AtomDecoder(config, num_outputs) if config.atom_channels else None
        # the best linear guess depends on the time alone, and is all there is for a Gaussian process
        self.skip = zero_linear(config.time_channels, num_outputs * NUM_CHANNELS)

    def forward(self, state: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """State [B,N,3,C] in Å at times [B] → [num_outputs,B,N,3,C], of unit size.

        The state is seen as its displacement from the source in units of the noise, of about unit size at all times.
        """
        graph = condition.graph
        shape = state.shape
        nodes = state.flatten(0, 1).index_select(0, graph.nodes)
        source = condition.source.flatten(0, 1).index_select(0, graph.nodes)
        displacement = (nodes - source) / self.sigma.to(state.dtype)
        embedding = self.time(time) + condition.lag
        vectors = torch.cat([displacement, nodes[..., 1:] / self.vector_scale], dim=2)
        x = self.features(condition.features)
        lowest = torch.cat([x[:, :1], x[:, 1:4] + self.vectors(vectors, graph.residues)], dim=1)
        pairs: Optional[AtomPairs] = None
        if self.atoms is not None:
            pairs = self.atoms(nodes, graph)
            lowest = lowest + self.atoms.residues(pairs, graph)
        x = torch.cat([lowest, x[:, 4:]], dim=1)
        geometry = self.geometry(nodes[..., 0], graph)
        for layer in self.layers:
            x = layer(x, graph, geometry, embedding)
        x = self.norm(x)
        out = self.output(x[:, 1:4], graph.residues)
        out = out.view(out.shape[0], 3, self.num_outputs, self.num_channels)
        if self.atom_output is not None and pairs is not None:
            out = out + self.atom_output(x[:, 0], pairs, graph)
        skip = (
            self.skip(embedding).index_select(0, graph.batch).view(out.shape[0], 1, self.num_outputs, self.num_channels)
        )
        out = out + skip * displacement.unsqueeze(2)
        padded = torch.zeros(
            shape[0] * shape[1], 3, self.num_outputs, self.num_channels, dtype=state.dtype, device=state.device
        )
        padded = padded.index_copy(0, graph.nodes, out)
        return padded.view(shape[0], shape[1], 3, self.num_outputs, self.num_channels).permute(3, 0, 1, 2, 4)


class JumpNetwork(nn.Module):
    """Conditioner and header: what :class:`mlff.transports.Transport` asks in every latent step.

    Args:
        num_outputs: of the transport.
        sigma: [C] in Å, noise of the transport, which scales the latent displacement.
    """

    def __init__(self, config: JumpNetworkConfig, num_outputs: int, sigma: Tensor) -> None:
        super().__init__()
        self.config = config
        self.conditioner = Conditioner(config)
        self.header = Header(config, num_outputs, sigma)

    def graph(self, source: Tensor, residues: Tensor, atom_mask: Tensor, chains: Tensor) -> ResidueGraph:
        """Which residues exchange messages in a jump from a source; arguments as of :meth:`condition`."""
        return self.conditioner.graph(source.to(self.header.norm.weight.dtype), residues, atom_mask, chains)

    def condition(
        self,
        source: Tensor,
        residues: Tensor,
        atom_mask: Tensor,
        chains: Tensor,
        lag: Tensor,
        graph: Optional[ResidueGraph] = None,
    ) -> Condition:
        """What a jump depends on; in the dtype of the parameters, whatever that of the arguments.

        Args:
            source: [B,N,3,C] in Å.
            residues, chains: [B,N]; atom_mask: [B,N,C].
            lag: [B] in ps.
            graph: that of the source, if it is known.
        """
        dtype = self.header.norm.weight.dtype
        known = self.graph(source, residues, atom_mask, chains) if graph is None else graph
        return self.conditioner(source.to(dtype), known, lag.to(dtype))

    def forward(self, state: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Outputs of unit size [num_outputs,B,N,3,C] for a state [B,N,3,C] at times [B], in the dtype of the state."""
        dtype = self.header.norm.weight.dtype
        return self.header(state.to(dtype), time.to(dtype), condition).to(state.dtype)
