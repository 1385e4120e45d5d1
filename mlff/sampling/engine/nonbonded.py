"""Coulomb, Lennard-Jones and implicit water between all atoms of a molecule, for all copies at once.

A matrix over pairs holds each pair twice. That costs arithmetic and saves what is dearer: sums over pairs become sums
over a column, without lists and without scattered writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlff.sampling.engine.expressions import Expression


@dataclass(frozen=True)
class PairTables:
    """Matrices [N,N] over pairs of atoms, zero on the diagonal: product of charges times Coulomb's constant in
    kJ·nm/mol, and A, B in kJ·nm¹²/mol and kJ·nm⁶/mol of A/r¹² - B/r⁶."""

    coulomb: Tensor
    repulsion: Tensor
    dispersion: Tensor


@dataclass(frozen=True)
class BornTerms:
    """Generalised Born as a pair sum I, an effective radius B of it, and energies of both (OpenMM's `CustomGBForce`).

    Attributes:
        integral: I as a function of r.
        radius: B as a function of I.
        single: energies of an atom, functions of I and B.
        pair: energies of a pair, functions of r, B1 and B2.
    """

    integral: Expression
    radius: Expression
    single: Sequence[Expression]
    pair: Sequence[Expression]


class Nonbonded:
    """Energy of all pairs.

    Args:
        tables: of Coulomb and Lennard-Jones.
        born: None in vacuum.
        dtype: of the parameters.
    """

    def __init__(self, tables: PairTables, born: BornTerms | None, dtype: torch.dtype) -> None:
        number = len(tables.coulomb)
        self.born = born
        self.coulomb = tables.coulomb.to(dtype).unsqueeze(-1)
        self.repulsion = tables.repulsion.to(dtype).unsqueeze(-1)
        self.dispersion = tables.dispersion.to(dtype).unsqueeze(-1)
        self.itself = torch.eye(number, dtype=dtype).unsqueeze(-1)

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Energies [C] in kJ/mol and forces [3,N,C] in kJ/mol/nm at positions [3,N,C] in nm."""
        vectors = positions[:, :, None] - positions[:, None]
        # An atom has the distance 1 to itself, which every term then leaves out.
        squared = vectors.square().sum(0) + self.itself
        distances = squared.sqrt()
        with torch.enable_grad():
            leaf = distances.detach().requires_grad_()
            energy = self._energy(leaf)
            (slope,) = torch.autograd.grad(energy.sum(), leaf)
        pull = (slope + slope.transpose(0, 1)) / distances
        return energy.detach(), -(pull * vectors).sum(2)

    def _energy(self, r: Tensor) -> Tensor:
        inverse = 1 / r
        sixth = (inverse * inverse * inverse).square()
        pairs = self.coulomb * inverse + (self.repulsion * sixth - self.dispersion) * sixth
        if self.born is None:
            return 0.5 * pairs.sum((0, 1))
        others = 1 - self.itself
        integral = (others * self.born.integral(r=r)).sum(1)
        radius = self.born.radius(I=integral)
        singles = torch.zeros_like(radius)
        for term in self.born.single:
            singles = singles + term(I=integral, B=radius)
        for term in self.born.pair:
            pairs = pairs + others * term(r=r, B1=radius.unsqueeze(1), B2=radius.unsqueeze(0))
        return 0.5 * pairs.sum((0, 1)) + singles.sum(0)
