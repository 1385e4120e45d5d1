"""Radial functions: learned functions of the distance and of the two elements of an edge."""

import torch
from torch import Tensor, nn

from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.irreps import order_rescaling

EMBEDDING_BOUND = 1e-3
# keeps the variance through U(±1/√in) and a SiLU, where no norm does
_GAIN = 2.9


def uniform_linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Linear layer initialised U(±1/√in) with zero bias, as published."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.uniform_(layer.weight, -(in_features**-0.5), in_features**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def element_embeddings(num_species: int, channels: int) -> tuple[nn.Embedding, nn.Embedding]:
    """Embeddings of source and target elements for radial functions, initialised U(±0.001) as published."""
    source, target = nn.Embedding(num_species, channels), nn.Embedding(num_species, channels)
    for embedding in (source, target):
        nn.init.uniform_(embedding.weight, -EMBEDDING_BOUND, EMBEDDING_BOUND)
    return source, target


class RadialFunction(nn.Module):
    """MLP on [basis | source embedding | target embedding] with layer norms (EquiformerV2, arXiv:2306.12059).

    The first layer is linear in the embeddings, so the share of embeddings of its own is computed once per element and
    gathered. Embeddings shared by all radial functions are part of the basis, see ``edge_elements``.
    """

    def __init__(self, config: EquiformerConfig, num_species: int, out_features: int) -> None:
        super().__init__()
        width = config.edge_channels
        self.source_embedding, self.target_embedding = None, None
        if config.edge_elements == "separate":
            self.source_embedding, self.target_embedding = element_embeddings(num_species, width)
        self.split_inputs = [config.num_radial, width, width]
        self.input = uniform_linear(config.num_edge_inputs, width)
        first, second = (nn.LayerNorm(width) if config.radial_norm else nn.Identity() for _ in range(2))
        self.hidden = nn.Sequential(
            first,
            nn.SiLU(),
            uniform_linear(width, width),
            second,
            nn.SiLU(),
            uniform_linear(width, out_features),
        )
        if not config.radial_norm:
            with torch.no_grad():
                for layer in (self.input, *self.hidden):
                    if isinstance(layer, nn.Linear):
                        layer.weight.mul_(_GAIN)

    def forward(self, graph: GraphContext) -> Tensor:
        """Weights per edge, [E,out_features]."""
        if self.source_embedding is None or self.target_embedding is None:
            return self.hidden(self.input(graph.basis))
        of_basis, of_source, of_target = self.input.weight.split(self.split_inputs, dim=1)
        of_source = torch.matmul(self.source_embedding.weight, of_source.t())
        of_target = torch.matmul(self.target_embedding.weight, of_target.t()) + self.input.bias
        x = torch.matmul(graph.basis, of_basis.t())
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
        self.radial = RadialFunction(config, num_species, (config.lmax + 1) * config.channels)
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
