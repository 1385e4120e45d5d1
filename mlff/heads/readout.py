"""The general read-out of a quantity from node features."""

from typing import List

import torch
from torch import Tensor, nn

from mlff.equiformer import EquiformerConfig
from mlff.equiformer.feed_forward import GatedFeedForward
from mlff.graph.graph import GraphInput
from mlff.graph.quantities import Quantity
from mlff.irreps import clebsch_gordan


class IrrepsReadOut(nn.Module):
    """A value for each atom or structure of any irreps of natural parity (0e, 1o, 2e, 3o, …).

    A gated equivariant network maps the features h_i of each atom to the degrees of the quantity,
    y_i = W₂ gate(W₁ h_i); a structure has their sum if the quantity is extensive and otherwise their mean.

    Args:
        config: of the backbone.
        row: the quantity.

    Raises:
        ValueError: irreps of unnatural parity, which the features do not hold, or of a degree beyond the backbone's.
    """

    basis: Tensor
    scale: Tensor
    shape: List[int]  # TorchScript knows no type of an empty list, which scalars have

    def __init__(self, config: EquiformerConfig, row: Quantity) -> None:
        super().__init__()
        natural = "+".join(f"{degree}{'eo'[degree % 2]}" for degree in row.degrees)
        if row.irreps != natural:
            raise ValueError(
                f"{row.name}: features have natural parity ({natural}), {row.irreps} cannot be read from them"
            )
        self.degree = max(row.degrees)
        if self.degree > config.lmax:
            raise ValueError(
                f"{row.name}: degree {self.degree} needs a backbone of lmax {self.degree}, not {config.lmax}"
            )
        self.network = GatedFeedForward(config, len(row.degrees), scalars_only=self.degree == 0)
        self.degrees = list(row.degrees)
        self.per_atom = row.per == "atom"
        self.mean = not row.extensive
        self.shape = list(row.shape)
        rows = sum(2 * degree + 1 for degree in row.degrees)
        basis = torch.eye(rows, dtype=torch.float64)
        if row.shape == (3, 3):  # symmetric matrices, from l = 0 and l = 2
            parts = [torch.tensor(clebsch_gordan(1, 1, degree)).reshape(9, -1) for degree in row.degrees]
            basis = torch.cat(parts, dim=1).T
        self.register_buffer("basis", basis.contiguous(), persistent=False)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def forward(self, features: Tensor, graph: GraphInput) -> Tensor:
        """Features [N,(lmax+1)²,C] to values [B,...] or [N,...] in the shape of the quantity."""
        y = self.network(features)
        parts = [y[:, degree * degree : (degree + 1) * (degree + 1), k] for k, degree in enumerate(self.degrees)]
        values = torch.cat(parts, dim=1)
        if not self.per_atom:
            count = graph.cell.shape[0]
            total = torch.zeros(count, values.shape[1], dtype=values.dtype, device=values.device)
            total = total.index_add(0, graph.batch, values)
            if self.mean:
                sizes = torch.zeros(count, dtype=values.dtype, device=values.device)
                sizes = sizes.index_add(0, graph.batch, torch.ones_like(values[:, 0])).clamp(min=1.0)
                total = total / sizes[:, None]
            values = total
        values = values @ (self.basis * self.scale).to(values.dtype)
        return values.reshape([values.shape[0]] + self.shape)  # noqa: RUF005  # TorchScript
