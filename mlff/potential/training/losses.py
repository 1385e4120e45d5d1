"""Losses on the labels of structures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mlff.graph import AtomicGraph, quantity
from mlff.potential import CorruptedGraph, DensConfig
from mlff.potential.training.config import LossConfig, LossKind
from mlff.potential.training.fixed_atoms import force_atoms


@dataclass(frozen=True)
class LossTerms:
    """Weighted sum and its unweighted parts (detached), all scalars; only of what is trained on.

    For every kind of loss the parts are in the units of the labels. The part ``noise``, which DeNS adds, is that of
    corrupted atoms in units of its standard deviation.
    """

    total: Tensor
    parts: dict[str, Tensor]


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
        output: what ``Potential.forward`` returns, with the quantities that are trained on.
        graph: batch with labels.
        config: kind, weights, and whether forces on fixed atoms count.
        padded: the last structure is padding and counts for nothing.

    Raises:
        ValueError: a label with a non-zero weight is missing from the batch.
    """
    structures = _structures(graph, padded)
    parts = _label_losses(output, graph, config, _masks(graph, structures, structures, config))
    total = _weighted(parts, config.weights)
    return LossTerms(total, {name: value.detach() for name, value in parts.items()})


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

    Energies are those of the clean structures. Forces count on clean atoms, also next to corrupted ones; all else
    counts in clean structures. The noise counts on corrupted atoms, in units of its standard deviation, in which a
    Huber penalty crosses over at ``huber_delta`` as well.

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
    masks = _masks(graph, structures & ~batch.corrupted_graphs, structures, config)
    masks["energy"] = structures
    masks["forces"] = masks["forces"] & ~batch.corrupted
    parts = _label_losses(output, graph, config, masks)
    noise = deviation(output["noise"] - batch.noise, config.kind, config.huber_delta, batch.corrupted)
    weights: dict[str, float | Tensor] = dict(config.weights)
    noise_weight = weight
    if dens.mean == "joint":
        share = batch.corrupted.sum() / (batch.corrupted | masks["forces"]).sum().clamp(min=1)
        weights["forces"], noise_weight = config.weight("forces") * (1.0 - share), noise_weight * share
    total = _weighted(parts, weights) + noise_weight * noise
    return LossTerms(total, {name: value.detach() for name, value in parts.items()} | {"noise": noise.detach()})


def _structures(graph: AtomicGraph, padded: bool) -> Tensor:
    """[B] bool, structures that count."""
    return torch.arange(graph.num_graphs, device=graph.batch.device) < graph.num_graphs - int(padded)


def _masks(graph: AtomicGraph, counted: Tensor, structures: Tensor, config: LossConfig) -> dict[str, Tensor]:
    """What of each quantity counts: [B] or [N] bool, of structures ``counted``; the forces of all ``structures``."""
    each = {"structure": counted, "atom": counted.index_select(0, graph.batch)}
    masks = {name: each[quantity(name).per] for name in config.weights}
    masks["forces"], free = structures.index_select(0, graph.batch), force_atoms(graph, config.fixed_atoms)
    if free is not None:
        masks["forces"] = masks["forces"] & free
    return masks


def _label_losses(
    output: dict[str, Tensor], graph: AtomicGraph, config: LossConfig, masks: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Penalty of each quantity on the structures or atoms of its mask, of those that are trained on."""
    losses = {}
    for name, weight in config.weights.items():
        if weight == 0:
            continue
        label = graph.labels.get(name)
        if label is None:
            raise ValueError(
                f"loss.weights.{name} is not zero, but the batch has no {name} labels: set it to 0 or give data with "
                f"{name}"
            )
        difference = output[name] - label
        if quantity(name).per_atom:
            # Totals may be thousands of eV, so the difference is taken in float64 and only then rounded.
            difference = (output[name].double() - label.double()) / graph.num_atoms
        difference = difference.to(graph.positions.dtype).reshape(len(difference), -1)
        losses[name] = deviation(difference, config.kind, config.huber_delta, masks[name])
    return losses


def _weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float | Tensor]) -> Tensor:
    terms = [weights[name] * loss for name, loss in losses.items()]
    total = torch.as_tensor(terms[0])
    for term in terms[1:]:
        total = total + term
    return total
