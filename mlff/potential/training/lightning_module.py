"""The Lightning module of potentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mlff.data import BatchSampler
from mlff.graph import AtomicGraph
from mlff.irreps import SO2Linear, SO3Linear
from mlff.potential import CorruptedGraph, DensPotential, Potential, corrupt
from mlff.potential.training.batches import Position
from mlff.potential.training.compiled import CompiledObjective
from mlff.potential.training.config import TrainingConfig
from mlff.potential.training.losses import LossTerms
from mlff.potential.training.metrics import Predict
from mlff.potential.training.objective import Objective, evaluate_potential
from mlff.potential.training.padding import BatchSize
from mlff.training.lightning_module import SteppedModule
from mlff.training.schedule import linear_decay


class PotentialModule(SteppedModule):
    """A potential in training.

    ``interval.losses`` are the total and one for each of ``config.compared``; with DeNS, then noise and the number of
    steps that had one.

    Args:
        potential: the model; its normalisation is already set. Averages, validation and weights are of it alone.
        config: the run.
        source: batches of each epoch, to know where epochs end.
        total_steps: optimiser steps of the whole run.
        frame_name: words for a training frame in error messages.
        dens: the same potential with what DeNS adds to it, where ``config.dens`` asks for it.
        compiled_size: compile the steps of batches that fit into it; None: compile nothing.
    """

    config: TrainingConfig
    linear_maps = (nn.Linear, SO2Linear, SO3Linear)

    def __init__(
        self,
        potential: Potential,
        config: TrainingConfig,
        source: BatchSampler,
        total_steps: int,
        frame_name: Callable[[int], str] = str,
        dens: DensPotential | None = None,
        compiled_size: BatchSize | None = None,
    ) -> None:
        parts = [f"loss_{name}" for name in config.compared]
        parts += [] if dens is None else ["loss_dens", "noisy_steps"]
        super().__init__(potential, config, total_steps, parts)
        self.dens = dens
        self.objective = Objective(potential, config.loss, dens, config.dens)
        cutoff = config.model.cutoff
        self._compiled = None if compiled_size is None else CompiledObjective(self.objective, compiled_size, cutoff)
        self.position = Position()
        self.dens_weight = 0.0 if config.dens is None else config.dens.weight
        self._source = source
        self._frame_name = frame_name

    @property
    def trained(self) -> nn.Module:
        return self.model if self.dens is None else self.dens

    @property
    def epoch(self) -> int:
        return self.position.epoch

    def on_before_batch_transfer(self, batch: AtomicGraph, dataloader_idx: int) -> AtomicGraph | CorruptedGraph:
        """Corrupt a training batch for DeNS, on the CPU; like every draw of a step it depends on its number only."""
        if self.config.dens is None:
            return batch
        generator = torch.Generator().manual_seed(self.step_seed(purpose=1))
        return corrupt(batch, self.config.dens, self.config.model, generator)

    def transfer_batch_to_device(
        self, batch: AtomicGraph | CorruptedGraph, device: torch.device, dataloader_idx: int
    ) -> AtomicGraph | CorruptedGraph:
        """Called by Lightning; the graph moves itself."""
        return batch if _graph(batch).positions.device == device else batch.to(device=device)

    def training_step(self, batch: AtomicGraph | CorruptedGraph, batch_idx: int) -> Tensor:
        """Loss of a batch; raises RunError naming step and frames when it is not finite."""
        terms = self._loss(batch)
        # Before the backward pass, so that the weights and the averages stay usable.
        self.check_finite("loss", terms.total)
        total = terms.total.detach()
        parts = [total, *(terms.parts.get(name, total.new_zeros(())) for name in self.config.compared)]
        if self.dens is not None:
            noisy = isinstance(batch, CorruptedGraph) and batch.corrupted.any()
            parts += [terms.parts.get("noise", total.new_zeros(())), torch.as_tensor(noisy).to(total)]
        self.add_losses(torch.stack(parts), _graph(batch).num_graphs)
        return terms.total

    def _loss(self, batch: AtomicGraph | CorruptedGraph) -> LossTerms:
        if self._compiled is None or not self._compiled.takes(batch):
            terms: LossTerms = self.objective(batch, self.dens_weight)
            return terms
        return self._compiled(batch, self.dens_weight)

    def begin_step(self, optimizer: torch.optim.Optimizer, time_fraction: float) -> float:
        """Set learning rate, weight of the noise and random numbers of the coming step; returns the learning rate."""
        dens = self.config.dens
        if dens is not None and dens.weight_decay == "linear":
            self.dens_weight = dens.weight * linear_decay(self.step, self.total_steps, self.progress(time_fraction))
        return super().begin_step(optimizer, time_fraction)

    def end_step(self) -> bool:
        """Update the averages and the position; returns whether an epoch ended."""
        super().end_step()
        ended = self.position.index + 1 >= len(self._source.batches(self.position.epoch))
        epoch, index = (self.position.epoch + 1, 0) if ended else (self.position.epoch, self.position.index + 1)
        self.position = Position(epoch, index)
        return ended

    def take_interval(self) -> dict[str, float]:
        """Means of the losses since the last call, then start anew; that of DeNS is of the steps that had one."""
        row = super().take_interval()
        if self.dens is not None:
            row["dens_weight"] = self.dens_weight
            noise, noisy = row.pop("loss_dens"), row.pop("noisy_steps")
            if noisy:
                row["loss_dens"] = noise / noisy
        return row

    def run_state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return super().run_state() | {"epoch": self.position.epoch, "index": self.position.index}

    def restore_weights(self, state: dict[str, Any]) -> None:
        """First half of the restore, before Lightning sets up: weights, averages and position."""
        super().restore_weights(state)
        self.position = Position(state["epoch"], state["index"])

    def where(self) -> str:
        indices = self._source.batches(self.position.epoch)[self.position.index]
        frames = "; ".join(self._frame_name(index) for index in indices)
        return (
            f"step {self.step + 1} (epoch {self.position.epoch + 1}). Check the labels of the frames of this step, or "
            f"lower optimizer.lr or optimizer.clip_norm. Frames: {frames}"
        )


def _graph(batch: AtomicGraph | CorruptedGraph) -> AtomicGraph:
    return batch.graph if isinstance(batch, CorruptedGraph) else batch


def potential_predictor(potential: nn.Module) -> Predict:
    """``evaluate_potential`` of one model as the function that ``metrics.predict`` takes."""
    return lambda graph, stress: evaluate_potential(potential, graph, stress)
