"""Losses on energy per atom, forces and stress."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mlff.graph import AtomicGraph
from mlff.potential import CorruptedGraph, DensConfig
from mlff.potential.training.config import LossConfig, LossKind
from mlff.potential.training.fixed_atoms import force_atoms


@dataclass(frozen=True)
class LossTerms:
    """Weighted sum and its unweighted parts (detached), all scalars; a part that is not trained on is zero.

    For every kind of loss the parts have the units of the labels: eV/atom, eV/A, eV/A^3. ``noise`` is that of corrupted
    atoms in units of its standard deviation.
    """

    total: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor
    noise: Tensor


def deviation(difference: Tensor, kind: LossKind, huber_delta: float, counted: Tensor | None = None) -> Tensor:
    """Mean penalty of a difference.

    Args:
        difference: [..., D]; for ``l2`` the last axis is the vector whose Euclidean norm is averaged.
        kind: ``mae`` mean of |d|; ``huber`` mean of d^2 / (2 delta) below delta and |d| - delta/2 above, that is the
            Huber loss divided by delta, in the unit of d; ``l2`` mean Euclidean norm, the force loss of EquiformerV2
            (Liao et al., ICLR 2024).
        huber_delta: crossover of the Huber loss, in the unit of the difference.
        counted: [...] bool, vectors that take part; None: all. A mask, so that no shape depends on the data.

    Returns:
        scalar; zero where nothing takes part.
    """
    if kind == "mae":
        penalty = difference.abs().mean(dim=-1)
    elif kind == "huber":
        origin = difference.new_zeros(()).expand_as(difference)
        penalty = functional.smooth_l1_loss(difference, origin, beta=huber_delta, reduction="none").mean(dim=-1)
    else:
        # The small constant keeps the gradient of the norm finite at zero.
        penalty = (difference.square().sum(dim=-1) + 1e-18).sqrt()
    if counted is None:
        counted = torch.ones_like(penalty, dtype=torch.bool)
    return torch.where(counted, penalty, 0.0).sum() / counted.sum().clamp(min=1)


def compute_loss(
    output: dict[str, Tensor], graph: AtomicGraph, config: LossConfig, *, padded: bool = False
) -> LossTerms:
    """Weighted loss of a batch.

    Args:
        output: what ``Potential.forward`` returns: energy [B] float64, forces [N, 3], stress [B, 3, 3] when trained on.
        graph: batch with labels.
        config: kind, weights, and whether forces on fixed atoms count.
        padded: the last structure is padding and counts for nothing.

    Raises:
        ValueError: a label with a non-zero weight is missing from the batch.
    """
    structures = _structures(graph, padded)
    atoms = _force_atoms(graph, structures, config)
    energy, forces, stress = _label_losses(output, graph, config, structures, atoms, structures)
    total = config.energy_weight * energy + config.forces_weight * forces + config.stress_weight * stress
    return LossTerms(total, energy.detach(), forces.detach(), stress.detach(), torch.zeros_like(energy))


def compute_dens_loss(
    output: dict[str, Tensor],
    batch: CorruptedGraph,
    config: LossConfig,
    dens: DensConfig,
    weight: float | Tensor,
    *,
    padded: bool = False,
) -> LossTerms:
    """Weighted loss of a batch with corrupted atoms (Liao et al., arXiv:2403.09549, section 3).

    Energies are those of the clean structures. Forces count on clean atoms, also beside corrupted ones; stress counts
    in clean structures. The noise counts on corrupted atoms, in units of its standard deviation, in which a Huber
    penalty crosses over at ``huber_delta`` as well.

    Args:
        output: what ``DensPotential.forward`` returns.
        batch: with the labels of the clean structures.
        config: kind, weights, and whether forces on fixed atoms count.
        dens: how forces and noise are averaged.
        weight: of the noise at this step.
        padded: the last structure is padding and counts for nothing.

    Raises:
        ValueError: a label with a non-zero weight is missing from the batch.
    """
    graph = batch.graph
    structures = _structures(graph, padded)
    clean = _force_atoms(graph, structures, config) & ~batch.corrupted
    stressed = structures & ~batch.corrupted_graphs
    energy, forces, stress = _label_losses(output, graph, config, structures, clean, stressed)
    noise = deviation(output["noise"] - batch.noise, config.kind, config.huber_delta, batch.corrupted)
    forces_weight: float | Tensor = config.forces_weight
    noise_weight = weight
    if dens.mean == "joint":
        share = batch.corrupted.sum() / (batch.corrupted | clean).sum().clamp(min=1)
        forces_weight, noise_weight = forces_weight * (1.0 - share), noise_weight * share
    total = config.energy_weight * energy + forces_weight * forces + config.stress_weight * stress
    total = total + noise_weight * noise
    return LossTerms(total, energy.detach(), forces.detach(), stress.detach(), noise.detach())


def _structures(graph: AtomicGraph, padded: bool) -> Tensor:
    """[B] bool, structures that count."""
    return torch.arange(graph.num_graphs, device=graph.batch.device) < graph.num_graphs - int(padded)


def _force_atoms(graph: AtomicGraph, structures: Tensor, config: LossConfig) -> Tensor:
    """[N] bool, atoms whose forces count."""
    atoms = structures.index_select(0, graph.batch)
    counted = force_atoms(graph, config.fixed_atoms)
    return atoms if counted is None else atoms & counted


def _label_losses(
    output: dict[str, Tensor],
    graph: AtomicGraph,
    config: LossConfig,
    structures: Tensor,
    atoms: Tensor,
    stressed: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Energy on ``structures``, forces on ``atoms``, stress on ``stressed``; zero where the weight is zero."""
    kind, delta = config.kind, config.huber_delta
    energy = forces = stress = output["forces"].new_zeros(())
    if config.energy_weight > 0:
        # Totals may be thousands of eV, so the difference is taken in float64 and only then rounded.
        per_atom = (output["energy"].double() - _label(graph.energy, "energy").double()) / graph.num_atoms
        energy = deviation(per_atom.to(energy.dtype)[:, None], kind, delta, structures)
    if config.forces_weight > 0:
        forces = deviation(output["forces"] - _label(graph.forces, "forces"), kind, delta, atoms)
    if config.stress_weight > 0:
        difference = output["stress"] - _label(graph.stress, "stress")
        stress = deviation(difference.flatten(1), kind, delta, stressed)
    return energy, forces, stress


def _label(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(
            f"loss.{name}_weight is not zero, but the batch has no {name} labels: "
            f"set loss.{name}_weight to 0 or give data with {name}"
        )
    return value
