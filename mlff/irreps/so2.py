"""SO(2) convolution in the edge frame."""

import math
from typing import List, Tuple

import torch
from torch import Tensor, nn


class SO2Linear(nn.Module):
    """The linear map of one order m > 0: mixes degrees and channels of the (+m, −m) pair, commuting with rolls.

    y₊ = W_r x₊ − W_i x₋,  y₋ = W_r x₋ + W_i x₊ (eSCN, arXiv:2302.03655). With natural parity (−1)^l a mirror plane
    through the edge flips the −m rows only, so ``parity`` drops W_i and the map becomes O(2)-equivariant.
    """

    def __init__(self, in_features: int, out_features: int, parity: bool) -> None:
        super().__init__()
        self.parity = parity
        self.out_features = out_features
        bound = 1.0 / math.sqrt(in_features)
        if not parity:
            bound /= math.sqrt(2.0)
        rows = out_features if parity else 2 * out_features
        self.weight = nn.Parameter(torch.empty(rows, in_features).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """[E,2,in] → [E,2,out], the second axis being (+m, −m)."""
        y = nn.functional.linear(x, self.weight)
        if self.parity:
            return y
        real, imaginary = y[:, :, : self.out_features], y[:, :, self.out_features :]
        return torch.stack([real[:, 0] - imaginary[:, 1], real[:, 1] + imaginary[:, 0]], dim=1)


class SO2Convolution(nn.Module):
    """Equivariant linear map on the edge layout, with extra roll-invariant outputs read from the m = 0 rows.

    Args:
        lmax, mmax: layout of the input, [E,T,in_channels]; mmax = 0 reads and writes the m = 0 rows only.
        num_extra: extra scalars per edge (attention logits, gates).
        parity: natural parity, see :class:`SO2Linear`.
        scalars_only: compute the l = 0 row only, [E,1,out_channels].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        lmax: int,
        mmax: int,
        num_extra: int = 0,
        parity: bool = False,
        scalars_only: bool = False,
    ) -> None:
        super().__init__()
        self.lmax = lmax
        self.out_channels = out_channels
        self.num_extra = num_extra
        self.num_rows_out = 1 if scalars_only else lmax + 1
        self.linear0 = nn.Linear((lmax + 1) * in_channels, num_extra + self.num_rows_out * out_channels)
        nn.init.uniform_(self.linear0.weight, -self.linear0.in_features**-0.5, self.linear0.in_features**-0.5)
        nn.init.zeros_(self.linear0.bias)
        orders = range(1, 1 if scalars_only else mmax + 1)
        self.linears = nn.ModuleList(
            SO2Linear((lmax - m + 1) * in_channels, (lmax - m + 1) * out_channels, parity) for m in orders
        )

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """[E,T,in] → ([E,T',out], extra [E,num_extra])."""
        num_edges = x.shape[0]
        y = self.linear0(x[:, : self.lmax + 1].reshape(num_edges, -1))
        extra, rows = y[:, : self.num_extra], y[:, self.num_extra :]
        parts: List[Tensor] = [rows.view(num_edges, self.num_rows_out, self.out_channels)]
        start = self.lmax + 1
        for order, linear in enumerate(self.linears):
            count = self.lmax - order  # degrees l ≥ m = order + 1
            pair = x[:, start : start + 2 * count].reshape(num_edges, 2, -1)
            parts.append(linear(pair).reshape(num_edges, 2 * count, self.out_channels))
            start += 2 * count
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0], extra
