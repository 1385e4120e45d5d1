"""The read-out of energies, in the network's own scale."""

import torch
from torch import Tensor, nn

from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.feed_forward import feed_forward
from mlff.equiformer.radial import uniform_linear


class EnergyHead(nn.Module):
    """Atomic energies [N] from the l = 0 features.

    Args:
        config: of the backbone.
        kind: ``feed_forward`` as published, or a ``mlp`` of l = 0.
        divisor: of the atomic energies; the published models divide the sum over atoms by a mean number of atoms.
    """

    pointwise: torch.jit.Final[bool]  # so that TorchScript leaves out what a network does not have

    def __init__(self, config: EquiformerConfig, kind: str, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor
        if kind == "feed_forward":
            self.network = feed_forward(config, 1, scalars_only=True)
        else:
            self.network = nn.Sequential(
                uniform_linear(config.channels, config.ffn_channels), nn.SiLU(), uniform_linear(config.ffn_channels, 1)
            )
        self.pointwise = kind == "mlp"

    def forward(self, x: Tensor) -> Tensor:
        """[N,≥1,C] → [N]."""
        energies = self.network(x[:, :1]) if self.pointwise else self.network(x)
        return energies.reshape(-1) / self.divisor

    def last_inputs(self, x: Tensor) -> Tensor:
        """[N,≥1,C] → [N,D]: what a linear map makes energies of, or the l = 0 features where no linear map is last."""
        if self.pointwise:
            inputs: Tensor = self.network[1](self.network[0](x[:, 0]))  # type: ignore[index]
            return inputs
        return x[:, 0]
