"""Pairs of atoms: residues that are vectors do not see the distances that bonds and contacts consist of."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlff.equijump.network.config import JumpNetworkConfig
from mlff.equijump.network.context import ResidueGraph
from mlff.equijump.network.embedding import ResidueVectors, zero_linear
from mlff.graph.radial import GaussianBasis
from mlff.proteins.residues import NUM_CHANNELS, NUM_TOKENS

# Å; directions between closer atoms, as noise can make them, fade.
_SOFTENING = 0.3


class AtomPairs(NamedTuple):
    """What is known of the A pairs of a graph."""

    hidden: Tensor  # [A,H], invariant
    direction: Tensor  # [A,3], from source to target, at most 1 long


class AtomEncoder(nn.Module):
    """Pairs of atoms from who they are and how far apart, and their sums over the pairs that end in a residue."""

    def __init__(self, config: JumpNetworkConfig) -> None:
        super().__init__()
        hidden = config.atom_channels
        self.num_channels = NUM_CHANNELS
        self.softening = _SOFTENING
        self.basis = GaussianBasis(config.atom_radial, config.atom_cutoff, width=1.0)
        self.radial = nn.Linear(config.atom_radial, hidden)
        self.of_source = nn.Embedding(NUM_TOKENS * NUM_CHANNELS, hidden)
        self.of_target = nn.Embedding(NUM_TOKENS * NUM_CHANNELS, hidden)
        # places in the chain, other chains, and the residue itself
        self.offsets = nn.Embedding(2 * config.sequence_range + 3, hidden)
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.pull = nn.Linear(hidden, 1)
        # A network begins as if it knew nothing of pairs, and may begin with the weights of one that does not.
        self.scalars = zero_linear(hidden, config.channels)
        self.vectors = ResidueVectors(NUM_CHANNELS, config.channels, scale=0.0)

    def forward(self, nodes: Tensor, graph: ResidueGraph) -> AtomPairs:
        """Coordinates [M,3,C] in Å: anchors, and vectors from them."""
        positions = torch.cat([nodes[..., :1], nodes[..., :1] + nodes[..., 1:]], dim=2)
        positions = positions.transpose(1, 2).reshape(-1, 3)
        vectors = positions.index_select(0, graph.atom_target) - positions.index_select(0, graph.atom_source)
        distance = torch.sqrt(vectors.square().sum(1) + self.softening * self.softening)
        channel = torch.arange(self.num_channels, device=nodes.device)
        types = (graph.residues.unsqueeze(1) * self.num_channels + channel).flatten()
        hidden = self.radial(self.basis(distance)) + self.offsets(graph.atom_offset)
        hidden = hidden + self.of_target(types).index_select(0, graph.atom_target)
        hidden = hidden + self.of_source(types).index_select(0, graph.atom_source)
        return AtomPairs(hidden=self.mlp(hidden), direction=vectors / distance.unsqueeze(1))

    def residues(self, pairs: AtomPairs, graph: ResidueGraph) -> Tensor:
        """Scalars and vectors [M,4,channels] of the residues that the pairs end in."""
        num_nodes = graph.residues.shape[0]
        target = torch.div(graph.atom_target, self.num_channels, rounding_mode="floor")
        scalars = torch.zeros(num_nodes, pairs.hidden.shape[1], dtype=pairs.hidden.dtype, device=pairs.hidden.device)
        scalars = scalars.index_add(0, target, pairs.hidden) / self.num_channels
        pulls = _add_up(self.pull(pairs.hidden), pairs, graph, self.num_channels)[..., 0]
        return torch.cat([self.scalars(scalars).unsqueeze(1), self.vectors(pulls, graph.residues)], dim=1)


class AtomDecoder(nn.Module):
    """Vectors of atoms as sums over directions to other atoms, weighted by what the layers made of both residues."""

    def __init__(self, config: JumpNetworkConfig, num_outputs: int) -> None:
        super().__init__()
        hidden = config.atom_channels
        self.num_channels = NUM_CHANNELS
        self.of_pair = nn.Linear(hidden, hidden)
        self.of_source = nn.Linear(config.channels, hidden, bias=False)
        self.of_target = nn.Linear(config.channels, hidden, bias=False)
        last = zero_linear(hidden, num_outputs)
        self.output = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)

    def forward(self, scalars: Tensor, pairs: AtomPairs, graph: ResidueGraph) -> Tensor:
        """Scalars [M,channels] of residues → [M,3,num_outputs,C]: of anchors, and of other atoms relative to these."""
        source = torch.div(graph.atom_source, self.num_channels, rounding_mode="floor")
        target = torch.div(graph.atom_target, self.num_channels, rounding_mode="floor")
        hidden = self.of_pair(pairs.hidden) + self.of_source(scalars).index_select(0, source)
        hidden = hidden + self.of_target(scalars).index_select(0, target)
        out = _add_up(self.output(hidden), pairs, graph, self.num_channels).permute(0, 1, 3, 2)
        return torch.cat([out[..., :1], out[..., 1:] - out[..., :1]], dim=-1)


def _add_up(weights: Tensor, pairs: AtomPairs, graph: ResidueGraph, num_channels: int) -> Tensor:
    """Weights [A,K] of directions, added up at the atoms they end in: [M,3,C,K]. Channels without atom get nothing."""
    num_nodes = graph.residues.shape[0]
    terms = pairs.direction.unsqueeze(2) * weights.unsqueeze(1)
    total = torch.zeros(num_nodes * num_channels, 3, weights.shape[1], dtype=weights.dtype, device=weights.device)
    total = total.index_add(0, graph.atom_target, terms)
    return total.view(num_nodes, num_channels, 3, weights.shape[1]).transpose(1, 2)
