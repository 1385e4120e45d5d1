"""Superposition of clouds."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mlff.proteins.cloud import TensorCloud


def kabsch_rotation(mobile: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """The proper rotation R that brings R·mobile closest to the reference, both about their centroids.

    Kabsch (Acta Cryst. A 32, 922 (1976)) with the sign of the last singular vector chosen so that det R = 1, also for
    planar points. Points on a line leave R undetermined about that line. Computed in float64.

    Args:
        mobile, reference: [..., P, 3].
        mask: [..., P] bool, the points that count.

    Returns:
        [..., 3, 3] in the dtype of ``mobile``, to be applied to columns.
    """
    weights = mask.unsqueeze(-1).double()
    count = weights.sum(-2, keepdim=True).clamp(min=1)
    moved, target = mobile.double(), reference.double()
    moved = moved - (moved * weights).sum(-2, keepdim=True) / count
    target = (target - (target * weights).sum(-2, keepdim=True) / count) * weights
    u, _, vh = torch.linalg.svd(torch.matmul(target.transpose(-1, -2), moved))
    sign = torch.sign(torch.linalg.det(torch.matmul(u, vh)))
    flip = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], dim=-1)
    return torch.matmul(u * flip.unsqueeze(-2), vh).to(mobile.dtype)


def align(mobile: TensorCloud, reference: TensorCloud, atoms: Literal["heavy", "anchors"] = "heavy") -> TensorCloud:
    """The mobile cloud rotated onto the reference and moved to its centre (mean of the anchors).

    Args:
        atoms: what is superposed: all heavy atoms, or the anchors, which determine no rotation in a short peptide.

    Raises:
        ValueError: the clouds are not the same residues with the same atoms.
    """
    if not torch.equal(mobile.residues, reference.residues) or not torch.equal(mobile.atom_mask, reference.atom_mask):
        raise ValueError("only clouds of the same residues and atoms can be aligned")
    if atoms == "anchors":
        rotation = kabsch_rotation(mobile.positions, reference.positions, mobile.mask)
    else:
        points, target = mobile.atoms().flatten(-3, -2), reference.atoms().flatten(-3, -2)
        rotation = kabsch_rotation(points, target, mobile.atom_mask.flatten(-2))
    return mobile.centred().rotate(rotation).translate(reference.center())
