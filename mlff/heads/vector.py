"""The read-out of one vector per atom, in the network's own scale."""

from torch import Tensor, nn

from mlff.equiformer.attention import GraphAttention
from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext


class VectorHead(nn.Module):
    """One vector per atom, [N,3], by a further attention with a single output channel: direct forces."""

    def __init__(self, config: EquiformerConfig, num_species: int) -> None:
        super().__init__()
        self.attention = GraphAttention(config, num_species, out_channels=1)

    def forward(self, x: Tensor, graph: GraphContext) -> Tensor:
        """[N,(lmax+1)²,C] → [N,3]; the rows of l = 1 are (x, y, z)."""
        return self.attention(x, graph)[:, 1:4, 0]
