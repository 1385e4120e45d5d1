"""Read-outs from node features to physical quantities, in the network's own scale."""

from torch import Tensor, nn

from mlff.equiformer.attention import GraphAttention
from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.equiformer.feed_forward import feed_forward
from mlff.equiformer.radial import uniform_linear


class EnergyHead(nn.Module):
    """Atomic energies [N] from the l = 0 features; their sum over ``avg_num_atoms`` is the network's energy."""

    def __init__(self, config: EquiformerConfig) -> None:
        super().__init__()
        self.divisor = config.avg_num_atoms
        if config.energy_head == "feed_forward":
            self.network = feed_forward(config, 1, scalars_only=True)
        else:
            self.network = nn.Sequential(
                uniform_linear(config.channels, config.ffn_channels), nn.SiLU(), uniform_linear(config.ffn_channels, 1)
            )
        self.pointwise = config.energy_head == "mlp"

    def forward(self, x: Tensor) -> Tensor:
        """[N,≥1,C] → [N]."""
        energies = self.network(x[:, :1]) if self.pointwise else self.network(x)
        return energies.reshape(-1) / self.divisor


class VectorHead(nn.Module):
    """One vector per atom, [N,3], by a further attention with a single output channel: direct forces."""

    def __init__(self, config: EquiformerConfig, num_species: int) -> None:
        super().__init__()
        self.attention = GraphAttention(config, num_species, out_channels=1)

    def forward(self, x: Tensor, graph: GraphContext) -> Tensor:
        """[N,(lmax+1)²,C] → [N,3]; the rows of l = 1 are (x, y, z)."""
        return self.attention(x, graph)[:, 1:4, 0]
