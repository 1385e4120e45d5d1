"""Radial functions: learned functions of the distance and of the two elements of an edge."""

import torch
from torch import Tensor, nn

from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.irreps import order_rescaling

EMBEDDING_BOUND = 1e-3


def uniform_linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Linear layer initialised U(±1/√in) with zero bias, as published."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.uniform_(layer.weight, -(in_features**-0.5), in_features**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class RadialFunction(nn.Module):
    """MLP on [basis | source embedding | target embedding] with layer norms (EquiformerV2, arXiv:2306.12059).

    The first layer is linear in the embeddings, so their share is computed once per element and gathered.
    """

    def __init__(self, num_radial: int, num_species: int, edge_channels: int, out_features: int) -> None:
        super().__init__()
        self.num_radial = num_radial
        self.edge_channels = edge_channels
        self.source_embedding = nn.Embedding(num_species, edge_channels)
        self.target_embedding = nn.Embedding(num_species, edge_channels)
        nn.init.uniform_(self.source_embedding.weight, -EMBEDDING_BOUND, EMBEDDING_BOUND)
        nn.init.uniform_(self.target_embedding.weight, -EMBEDDING_BOUND, EMBEDDING_BOUND)
        self.input = uniform_linear(num_radial + 2 * edge_channels, edge_channels)
        self.hidden = nn.Sequential(
            nn.LayerNorm(edge_channels),
            nn.SiLU(),
            uniform_linear(edge_channels, edge_channels),
            nn.LayerNorm(edge_channels),
            nn.SiLU(),
            uniform_linear(edge_channels, out_features),
        )

    def forward(self, graph: GraphContext) -> Tensor:
        """Weights per edge, [E,out_features]."""
        weight = self.input.weight
        middle = self.num_radial + self.edge_channels
        of_source = torch.matmul(self.source_embedding.weight, weight[:, self.num_radial : middle].t())
        of_target = torch.matmul(self.target_embedding.weight, weight[:, middle:].t()) + self.input.bias
        x = torch.matmul(graph.basis, weight[:, : self.num_radial].t())
        x = x + of_source.index_select(0, graph.source_species) + of_target.index_select(0, graph.target_species)
        return self.hidden(x)


class DegreeEmbedding(nn.Module):
    """Radial functions on the m = 0 rows, rotated to the global frame and summed over neighbours."""

    avg_degree: Tensor
    rescaling: Tensor

    def __init__(self, config: EquiformerConfig, num_species: int) -> None:
        super().__init__()
        self.lmax = config.lmax
        self.channels = config.channels
        self.radial = RadialFunction(
            config.num_radial, num_species, config.edge_channels, (config.lmax + 1) * config.channels
        )
        self.register_buffer("avg_degree", torch.tensor(config.avg_degree, dtype=torch.float64))
        rescaling = order_rescaling(config.lmax, config.mmax if config.rescale_orders else config.lmax)
        self.register_buffer("rescaling", rescaling[: config.lmax + 1], persistent=False)

    def forward(self, num_nodes: int, graph: GraphContext) -> Tensor:
        """[N,(lmax+1)²,C]; divided by the average degree of the training data."""
        rows = self.radial(graph).view(graph.source.shape[0], self.lmax + 1, self.channels)
        factor = (self.rescaling / self.avg_degree).to(rows.dtype)
        rows = rows * (graph.envelope[:, None] * factor)[:, :, None]
        messages = torch.bmm(graph.wigner[:, : self.lmax + 1].transpose(1, 2), rows)
        out = torch.zeros(num_nodes, messages.shape[1], self.channels, dtype=rows.dtype, device=rows.device)
        return out.index_add(0, graph.target, messages)
