"""One transformer layer: attention and feed-forward, each behind a norm and alongside a residual path."""

import torch
from torch import Tensor, nn

from mlff.equiformer.attention import GraphAttention
from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.equiformer.feed_forward import feed_forward
from mlff.irreps import DegreeLayerNorm, MergedLayerNorm, SeparableLayerNorm


def equivariant_norm(config: EquiformerConfig, lmax: int) -> nn.Module:
    """The layer norm that the configuration asks for."""
    if config.norm == "none":
        return nn.Identity()
    if config.norm == "merged":
        return MergedLayerNorm(lmax, config.channels)
    if config.norm == "layer_norm":
        return DegreeLayerNorm(lmax, config.channels)
    return SeparableLayerNorm(lmax, config.channels)


class GraphDropPath(nn.Module):
    """Stochastic depth: drops the whole update of a structure during training."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor, graph: GraphContext) -> Tensor:
        """[N,K,C] → [N,K,C]."""
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = torch.rand(graph.num_graphs, dtype=x.dtype, device=x.device).add(keep).floor() / keep
        return x * mask.index_select(0, graph.batch)[:, None, None]


class TransformerBlock(nn.Module):
    """Pre-norm block of EquiformerV2 (arXiv:2306.12059, figure 1): x ← x + A(N₁(x)), then x ← x + F(N₂(x)).

    A is ``attention``, F ``feed_forward``, N₁ and N₂ are ``norm1`` and ``norm2``.

    ``scalars_only`` is for the last block under a head that reads l = 0: it returns [N,1,C].
    """

    def __init__(self, config: EquiformerConfig, num_species: int, scalars_only: bool = False) -> None:
        super().__init__()
        self.scalars_only = scalars_only
        self.norm1 = equivariant_norm(config, config.lmax)
        self.attention = GraphAttention(config, num_species, config.channels, scalars_only)
        self.drop_path = GraphDropPath(config.drop_path)
        self.norm2 = equivariant_norm(config, config.lmax)
        self.feed_forward = feed_forward(config, config.channels, scalars_only)

    def forward(self, x: Tensor, graph: GraphContext) -> Tensor:
        """[N,(lmax+1)²,C] → the same, or [N,1,C] for scalars only."""
        update = self.drop_path(self.attention(self.norm1(x), graph), graph)
        if self.scalars_only:
            x = torch.cat([x[:, :1] + update, x[:, 1:]], dim=1)
            return x[:, :1] + self.drop_path(self.feed_forward(self.norm2(x)), graph)
        x = x + update
        return x + self.drop_path(self.feed_forward(self.norm2(x)), graph)
