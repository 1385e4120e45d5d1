"""SO(2) convolution in the edge frame."""

import math
from typing import List, Tuple

import torch
from torch import Tensor, nn


class SO2Linear(nn.Module):
    """The linear map of one order m > 0: mixes degrees and channels of the (+m, −m) pair, commuting with rolls.

    y₊ = W_r x₊ − W_i x₋
    y₋ = W_i x₊ + W_r x₋

    This is y = W x of complex x = x₊ + i x₋ and W = W_r + i W_i, and a roll about the edge multiplies both x and y by a
    phase (eSCN: Passaro & Zitnick, arXiv:2302.03655). With natural parity (−1)^l a mirror plane through the edge flips
    the −m rows only, so ``parity`` drops W_i and the map becomes O(2)-equivariant.

    ========  ===================  ========================================
    symbol    variable             meaning
    ========  ===================  ========================================
    x₊, x₋    ``plus``, ``minus``  rows +m and −m, l ≥ m and channels in one
    W_r, W_i  ``weight``           one above the other
    ========  ===================  ========================================
    """

    def __init__(self, in_features: int, out_features: int, parity: bool) -> None:
        super().__init__()
        self.parity = parity
        bound = 1.0 / math.sqrt(in_features)
        if not parity:
            bound /= math.sqrt(2.0)
        rows = out_features if parity else 2 * out_features
        self.weight = nn.Parameter(torch.empty(rows, in_features).uniform_(-bound, bound))

    def forward(self, plus: Tensor, minus: Tensor) -> Tuple[Tensor, Tensor]:
        """x₊, x₋ [E,in] → y₊, y₋ [E,out]."""
        if self.parity:
            return nn.functional.linear(plus, self.weight), nn.functional.linear(minus, self.weight)
        real, imaginary = self.weight.chunk(2, dim=0)
        both = torch.cat([plus, minus], dim=1)
        new_plus = nn.functional.linear(both, torch.cat([real, -imaginary], dim=1))
        new_minus = nn.functional.linear(both, torch.cat([imaginary, real], dim=1))
        return new_plus, new_minus


class SO2Convolution(nn.Module):
    """Equivariant linear map on order blocks, with extra roll-invariant outputs read from the m = 0 block.

    (extra, y_0) = W_0 x_0 + b and (y_m, y_−m) = :class:`SO2Linear` of (x_m, x_−m) for m = 1..mmax, the convolution with
    all spherical harmonics of the edge direction in its own frame (eSCN, arXiv:2302.03655).

    Order blocks are the edge layout cut by order and flattened: [m = 0, +1, −1, +2, −2, …], each [E, degrees·channels]
    (see :func:`order_sizes`). They stay separate matrices between convolutions, because concatenating and slicing them
    costs as much as multiplying them.

    Args:
        lmax, mmax: layout of the input; mmax = 0 reads and writes the m = 0 block only.
        num_extra: extra scalars per edge (attention logits, gates).
        parity: natural parity, see :class:`SO2Linear`.
        scalars_only: compute the l = 0 row only: one block [E,out_channels].
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
        self.split_out = [num_extra, (1 if scalars_only else lmax + 1) * out_channels]
        self.linear0 = nn.Linear((lmax + 1) * in_channels, sum(self.split_out))
        nn.init.uniform_(self.linear0.weight, -(self.linear0.in_features**-0.5), self.linear0.in_features**-0.5)
        nn.init.zeros_(self.linear0.bias)
        counts = [] if scalars_only else [lmax - m + 1 for m in range(1, mmax + 1)]  # degrees l ≥ m
        self.linears = nn.ModuleList(SO2Linear(n * in_channels, n * out_channels, parity) for n in counts)

    def forward(self, blocks: List[Tensor]) -> Tuple[List[Tensor], Tensor]:
        """Order blocks in → (order blocks out, extra [E,num_extra])."""
        extra, rows = self.linear0(blocks[0]).split(self.split_out, dim=1)
        out: List[Tensor] = [rows]
        for m, linear in enumerate(self.linears, 1):
            plus, minus = linear(blocks[2 * m - 1], blocks[2 * m])
            out += [plus, minus]
        return out, extra
