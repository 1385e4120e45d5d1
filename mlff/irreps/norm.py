"""Equivariant layer norms on the node layout."""

import torch
from torch import Tensor, nn

from mlff.irreps.layout import node_degrees

EPSILON = 1e-5


def _balance(lmax: int, first: int) -> Tensor:
    """Weights 1/(number of degrees · (2l+1)) per row, degrees from ``first`` on, so that each degree counts alike."""
    degrees = node_degrees(lmax)
    degrees = degrees[degrees >= first].to(torch.float64)
    return 1.0 / ((lmax + 1 - first) * (2.0 * degrees + 1.0))


class MergedLayerNorm(nn.Module):
    """EquiformerV3's norm, V2's ``rms_norm_sh``: l = 0 centred, then one RMS over all degrees and channels."""

    degrees: Tensor
    balance: Tensor

    def __init__(self, lmax: int, channels: int) -> None:
        super().__init__()
        self.epsilon = EPSILON
        self.weight = nn.Parameter(torch.ones(lmax + 1, channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("degrees", node_degrees(lmax), persistent=False)
        self.register_buffer("balance", _balance(lmax, 0)[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N,(lmax+1)²,C]."""
        scalars = x[:, :1]
        x = torch.cat([scalars - scalars.mean(dim=2, keepdim=True), x[:, 1:]], dim=1)
        power = (x * x * self.balance.to(x.dtype)).sum(dim=1, keepdim=True).mean(dim=2, keepdim=True)
        x = x * torch.rsqrt(power + self.epsilon) * self.weight.index_select(0, self.degrees)
        return torch.cat([x[:, :1] + self.bias, x[:, 1:]], dim=1)


class SeparableLayerNorm(nn.Module):
    """EquiformerV2's ``layer_norm_sh`` (Liao et al., arXiv:2306.12059): layer norm on l = 0, one RMS over l > 0."""

    degrees: Tensor
    balance: Tensor

    def __init__(self, lmax: int, channels: int) -> None:
        super().__init__()
        self.epsilon = EPSILON
        self.scalar_norm = nn.LayerNorm(channels, eps=EPSILON)
        self.weight = nn.Parameter(torch.ones(lmax, channels))
        self.register_buffer("degrees", node_degrees(lmax)[1:] - 1, persistent=False)
        self.register_buffer("balance", _balance(lmax, 1)[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N,(lmax+1)²,C]."""
        scalars, rest = self.scalar_norm(x[:, :1]), x[:, 1:]
        power = (rest * rest * self.balance.to(x.dtype)).sum(dim=1, keepdim=True).mean(dim=2, keepdim=True)
        rest = rest * torch.rsqrt(power + self.epsilon) * self.weight.index_select(0, self.degrees)
        return torch.cat([scalars, rest], dim=1)


class DegreeLayerNorm(nn.Module):
    """EquiformerV2's ``layer_norm``, that of Equiformer (arXiv:2206.11990): one RMS for each degree, l = 0 centred."""

    degrees: Tensor
    means: Tensor

    def __init__(self, lmax: int, channels: int) -> None:
        super().__init__()
        self.epsilon = EPSILON
        self.weight = nn.Parameter(torch.ones(lmax + 1, channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        degrees = node_degrees(lmax)
        of_degree = torch.nn.functional.one_hot(degrees).to(torch.float64)
        self.register_buffer("degrees", degrees, persistent=False)
        self.register_buffer("means", of_degree / of_degree.sum(dim=0), persistent=False)  # [rows, degrees]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [N,(lmax+1)²,C]."""
        scalars = x[:, :1]
        x = torch.cat([scalars - scalars.mean(dim=2, keepdim=True), x[:, 1:]], dim=1)
        power = torch.matmul((x * x).mean(dim=2), self.means.to(x.dtype))
        scale = torch.rsqrt(power + self.epsilon)[:, :, None] * self.weight
        x = x * scale.index_select(1, self.degrees)
        return torch.cat([x[:, :1] + self.bias, x[:, 1:]], dim=1)
