"""Scalars and vectors into features: times, lag times and the atoms of a residue."""

import math

import torch
from torch import Tensor, nn

from mlff.proteins.residues import NUM_TOKENS


def zero_linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear map that begins as zero."""
    linear = nn.Linear(in_features, out_features)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class TimeEmbedding(nn.Module):
    """MLP of cosines: of a latent time in [0, 1], or of the logarithm of a lag time.

    Args:
        num_frequencies: cosines with 0, ½, 1, … periods in the interval.
        low, high: ends of the interval.
    """

    frequencies: Tensor

    def __init__(self, channels: int, num_frequencies: int, low: float, high: float) -> None:
        super().__init__()
        self.low, self.width = low, high - low
        frequencies = math.pi * torch.arange(num_frequencies, dtype=torch.float64)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(num_frequencies, channels), nn.SiLU(), nn.Linear(channels, channels))

    def forward(self, value: Tensor) -> Tensor:
        """[B] → [B,channels]."""
        scaled = (value - self.low) / self.width
        return self.mlp(torch.cos(scaled.unsqueeze(1) * self.frequencies.to(value.dtype)))


class ResidueVectors(nn.Module):
    """Vectors of a residue's atoms to vector features, and back: one matrix for each kind of residue.

    The same channel is another atom in another residue, so nothing is shared between them.

    Args:
        in_channels, out_channels: of the vectors.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: float = 1.0) -> None:
        super().__init__()
        weight = torch.randn(NUM_TOKENS, in_channels, out_channels) * (scale / math.sqrt(in_channels))
        self.weight = nn.Parameter(weight)

    def forward(self, vectors: Tensor, residues: Tensor) -> Tensor:
        """[M,3,in] of residues [M] → [M,3,out]."""
        return torch.bmm(vectors, self.weight.index_select(0, residues))
