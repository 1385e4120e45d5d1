"""Small jump models with random weights, for tests that need no trained one.

Tests import it as ``from support.toy_jump import toy_jump`` (``tests`` is on the path of pytest).
"""

from collections.abc import Sequence

import torch

from mlff.equijump.model import JumpConfig, JumpModel
from mlff.equijump.network import JumpNetworkConfig
from mlff.transports import FollmerConfig, TransportConfig

DIPEPTIDE_RESIDUES = ("ACE", "ALA", "NME")


def toy_jump(
    lags: Sequence[float] = (10.0, 20.0),
    *,
    sigma: float = 0.02,
    steps: int = 2,
    dtype: torch.dtype = torch.float64,
    transport: TransportConfig | None = None,
) -> JumpModel:
    """A model whose jumps are about ``sigma`` Å long, so that molecules last for a while."""
    torch.manual_seed(0)
    network = JumpNetworkConfig(
        channels=8,
        message_channels=8,
        layers=1,
        conditioner_layers=1,
        num_radial=8,
        edge_channels=8,
        time_channels=8,
    )
    transport = transport or FollmerConfig(position_noise=sigma, vector_noise=sigma)
    model = JumpModel(JumpConfig(network=network, transport=transport, steps=steps), list(lags)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # what starts as zero must not hide anything
            parameter.add_(0.05 * torch.randn_like(parameter))
            parameter.data = parameter.data.to(dtype)
    return model
