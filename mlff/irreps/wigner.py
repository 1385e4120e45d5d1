"""Edge frames and their Wigner matrices, polynomial in the edge direction."""

import math
from typing import List

import torch
from torch import Tensor, nn

from mlff.irreps.constants import clebsch_gordan
from mlff.irreps.layout import m_major_rows, num_coefficients


def edge_rotation(direction: Tensor) -> Tensor:
    """Rotation R that takes a unit vector v to +y: R v = (0, 1, 0).

    The minimal rotation on the upper half sphere and, on the lower one, the minimal rotation that follows half a turn
    about x; then a constant turn about y. Both charts are rational in v with a denominator in [1, 2], so all
    derivatives are finite, poles included. The frame jumps at y = 0, which a network that is exactly invariant to rolls
    cannot see.

    >>> v = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    >>> (edge_rotation(v) @ v[:, :, None]).flatten().round(decimals=12) + 0.0
    tensor([0., 1., 0.], dtype=torch.float64)

    Args:
        direction: [E,3] unit vectors.

    Returns:
        [E,3,3]; as the rows of l = 1 are (x, y, z) this is also the Wigner matrix of degree 1.
    """
    x, y, z = direction.unbind(-1)
    sign = torch.where(y >= 0, torch.ones_like(y), -torch.ones_like(y))
    inverse = 1.0 / (1.0 + sign * y)
    xz = inverse * x * z
    # A quarter of the step of the usual sphere grid of 18 points. With a nonlinearity on the grid a roll t adds errors
    # that vary as cos(18 t + phase); edges that are mirror images have opposite phases, so that their errors cancel
    # here, where they would add up without a roll.
    cos, sin = math.cos(math.pi / 36), math.sin(math.pi / 36)
    first = torch.stack([1.0 - inverse * x * x, -sign * x, -xz], dim=-1)
    third = torch.stack([-sign * xz, -z, sign * (1.0 - inverse * z * z)], dim=-1)
    return torch.stack([cos * first + sin * third, direction, cos * third - sin * first], dim=1)


class EdgeFrame(nn.Module):
    """Wigner matrices of the edge frames, packed for the SO(2) convolution (eSCN: Passaro & Zitnick, arXiv:2302.03655).

    D_l follows from D_{l−1} and D_1 = R by the recurrence D_l = Cᵀ (D_{l−1} ⊗ R) C with C = :func:`clebsch_gordan` of
    (l−1, 1, l), so it is a polynomial in the entries of R: no angles, finite first and second derivatives everywhere.
    """

    rows: Tensor
    couplings: Tensor

    def __init__(self, lmax: int, mmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.num_rows = num_coefficients(lmax)
        self.register_buffer("rows", m_major_rows(lmax, mmax), persistent=False)
        couplings = [torch.zeros(0, dtype=torch.float64)]
        for degree in range(2, lmax + 1):
            couplings.append(torch.tensor(clebsch_gordan(degree - 1, 1, degree)).flatten())
        # one flat buffer, because TorchScript cannot index a list of buffers
        self.register_buffer("couplings", torch.cat(couplings), persistent=False)

    def wigner_blocks(self, direction: Tensor) -> List[Tensor]:
        """D_l, l = 0..lmax, of the frames of unit vectors [E,3]: a list of [E,2l+1,2l+1]."""
        rotation = edge_rotation(direction)
        num_edges = rotation.shape[0]
        blocks = [torch.ones(num_edges, 1, 1, dtype=rotation.dtype, device=rotation.device)]
        if self.lmax > 0:
            blocks.append(rotation)
        couplings = self.couplings.to(rotation.dtype)
        start = 0
        for degree in range(2, self.lmax + 1):
            rows, size = 3 * (2 * degree - 1), 2 * degree + 1
            coupling = couplings[start : start + rows * size].view(rows, size)
            start += rows * size
            previous = blocks[degree - 1]
            product = previous[:, :, None, :, None] * rotation[:, None, :, None, :]
            right = torch.matmul(product.reshape(num_edges, rows, rows), coupling)
            blocks.append(torch.matmul(coupling.t(), right))
        return blocks

    def forward(self, direction: Tensor) -> Tensor:
        """Packed Wigner matrices [E,T,(lmax+1)²]: node rows of the global frame to rows of the edge frame.

        Rotate into the frame by ``wigner @ x`` and back by ``wigner.transpose(1, 2) @ y``.

        Args:
            direction: [E,3] unit vectors.
        """
        padded: List[Tensor] = []
        for degree, block in enumerate(self.wigner_blocks(direction)):
            before = degree * degree
            after = self.num_rows - (degree + 1) * (degree + 1)
            padded.append(torch.nn.functional.pad(block, (before, after)))
        return torch.cat(padded, dim=1).index_select(1, self.rows)
