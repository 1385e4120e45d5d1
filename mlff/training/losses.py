"""Losses on energy per atom, forces and stress."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from mlff.graph import AtomicGraph
from mlff.training.config import LossConfig, LossKind
from mlff.training.fixed_atoms import force_atoms


@dataclass(frozen=True)
class LossTerms:
    """Weighted sum and its unweighted parts (detached), all scalars; a part that is not trained on is zero.

    For every kind of loss the parts have the units of the labels: eV/atom, eV/A, eV/A^3.
    """

    total: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor


def deviation(difference: Tensor, kind: LossKind, huber_delta: float) -> Tensor:
    """Mean penalty of a difference.

    Args:
        difference: [..., D]; for ``l2`` the last axis is the vector whose Euclidean norm is averaged.
        kind: ``mae`` mean of |d|; ``huber`` mean of d^2 / (2 delta) below delta and |d| - delta/2 above, that is the
            Huber loss divided by delta, in the unit of d; ``l2`` mean Euclidean norm, the force loss of EquiformerV2
            (Liao et al., ICLR 2024).
        huber_delta: crossover of the Huber loss, in the unit of the difference.

    Returns:
        scalar; zero for an empty tensor.
    """
    if difference.numel() == 0:
        return difference.sum()
    if kind == "mae":
        return difference.abs().mean()
    if kind == "huber":
        return functional.smooth_l1_loss(difference, difference.new_zeros(()).expand_as(difference), beta=huber_delta)
    # The small constant keeps the gradient of the norm finite at zero.
    return (difference.square().sum(dim=-1) + 1e-18).sqrt().mean()


def compute_loss(output: dict[str, Tensor], graph: AtomicGraph, config: LossConfig) -> LossTerms:
    """Weighted loss of a batch.

    Args:
        output: what ``Potential.forward`` returns: energy [B] float64, forces [N, 3], stress [B, 3, 3] when trained on.
        graph: batch with labels.
        config: kind, weights, and whether forces on fixed atoms count.

    Raises:
        ValueError: a label with a non-zero weight is missing from the batch.
    """
    forces_dtype = output["forces"].dtype
    zero = output["forces"].new_zeros(())
    energy = forces = stress = zero
    if config.energy_weight > 0:
        # Totals may be thousands of eV, so the difference is taken in float64 and only then rounded.
        per_atom = (output["energy"].double() - _label(graph.energy, "energy").double()) / graph.num_atoms
        energy = deviation(per_atom.to(forces_dtype)[:, None], config.kind, config.huber_delta)
    if config.forces_weight > 0:
        difference = output["forces"] - _label(graph.forces, "forces")
        counted = force_atoms(graph, config.fixed_atoms)
        difference = difference if counted is None else difference[counted]
        forces = deviation(difference, config.kind, config.huber_delta)
    if config.stress_weight > 0:
        difference = output["stress"] - _label(graph.stress, "stress")
        stress = deviation(difference.flatten(1), config.kind, config.huber_delta)
    total = config.energy_weight * energy + config.forces_weight * forces + config.stress_weight * stress
    return LossTerms(total, energy.detach(), forces.detach(), stress.detach())


def _label(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(
            f"loss.{name}_weight is not zero, but the batch has no {name} labels: "
            f"set loss.{name}_weight to 0 or give data with {name}"
        )
    return value
