"""The EquiformerV2 backbone: atoms and edges to equivariant node features."""

from typing import Tuple

import torch
from torch import Tensor, nn

from mlff.equiformer.block import TransformerBlock, equivariant_norm
from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.equiformer.radial import DegreeEmbedding, element_embeddings
from mlff.graph import BesselBasis, GaussianBasis, PolynomialEnvelope
from mlff.irreps import EdgeFrame, num_coefficients

GAUSSIAN_WIDTH = 2.0  # in grid spacings, as published


class Equiformer(nn.Module):
    """EquiformerV2 (Liao et al., arXiv:2306.12059) with the later options named in :class:`EquiformerConfig`.

    Args:
        config: hyper-parameters.
        num_species: rows of the element embeddings.
        scalars_only: the heads read l = 0 only; the last block is built accordingly.
    """

    def __init__(self, config: EquiformerConfig, num_species: int, scalars_only: bool) -> None:
        super().__init__()
        self.lmax, self.channels, self.cutoff = config.lmax, config.channels, config.cutoff
        self.scalars_only = scalars_only
        self.use_envelope = config.attention != "softmax"
        self.embedding = nn.Embedding(num_species, config.channels)
        self.frame = EdgeFrame(config.lmax, config.mmax)
        self.envelope = PolynomialEnvelope()
        self.basis = (
            BesselBasis(config.num_radial, config.cutoff)
            if config.radial_basis == "bessel"
            else GaussianBasis(config.num_radial, config.cutoff, GAUSSIAN_WIDTH)
        )
        self.source_embedding, self.target_embedding = None, None
        if config.edge_elements == "shared":
            self.source_embedding, self.target_embedding = element_embeddings(num_species, config.edge_channels)
        self.degree_embedding = DegreeEmbedding(config, num_species)
        self.blocks = nn.ModuleList(
            TransformerBlock(config, num_species, scalars_only and layer == config.num_layers - 1)
            for layer in range(config.num_layers)
        )
        self.norm = equivariant_norm(config, 0 if scalars_only else config.lmax)
        self.num_rows = num_coefficients(config.lmax)

    def context(
        self, species: Tensor, edge_vec: Tensor, edge_index: Tensor, batch: Tensor, num_graphs: int
    ) -> GraphContext:
        """Everything about the edges that layers and heads share.

        Args:
            species: [N] int64 rows of the element embeddings.
            edge_vec: [E,3] Å, r_j − r_i + image shift; must not be zero.
            edge_index: [2,E] int64, row 0 the source j, row 1 the target i.
            batch: [N] int64.
            num_graphs: number of structures.
        """
        source, target = edge_index[0], edge_index[1]
        distance = torch.linalg.vector_norm(edge_vec, dim=1)
        envelope = self.envelope(distance / self.cutoff) if self.use_envelope else torch.ones_like(distance)
        source_species, target_species = species.index_select(0, source), species.index_select(0, target)
        basis = self.basis(distance)
        if self.source_embedding is not None and self.target_embedding is not None:
            basis = torch.cat(
                [basis, self.source_embedding(source_species), self.target_embedding(target_species)], dim=1
            )
        return GraphContext(
            source=source,
            target=target,
            source_species=source_species,
            target_species=target_species,
            basis=basis,
            envelope=envelope,
            wigner=self.frame(edge_vec / distance[:, None]),
            batch=batch,
            num_graphs=num_graphs,
        )

    def embed(self, species: Tensor, graph: GraphContext) -> Tensor:
        """What enters the first block, [N,(lmax+1)²,C]: the elements and the degree embedding."""
        x = self.degree_embedding(species.shape[0], graph)
        return torch.cat([x[:, :1] + self.embedding(species)[:, None], x[:, 1:]], dim=1)

    def layers(self, x: Tensor, graph: GraphContext) -> Tuple[Tensor, Tensor]:
        """Features after the last block, not yet normalised: those of :meth:`forward`, and all degrees [N,(lmax+1)²,C].

        They differ where the backbone is built for scalars only: the latter then have the l > 0 that entered the block.
        """
        entering = x
        for block in self.blocks:
            entering = x
            x = block(x, graph)
        return x, torch.cat([x, entering[:, 1:]], dim=1) if self.scalars_only else x

    def forward(self, species: Tensor, graph: GraphContext) -> Tensor:
        """Normalised node features [N,(lmax+1)²,C], or [N,1,C] where built for scalars only."""
        x, _ = self.layers(self.embed(species, graph), graph)
        return self.norm(x)
