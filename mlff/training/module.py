"""The Lightning module of potentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mlff.graph import AtomicGraph
from mlff.potential import CorruptedGraph, DensPotential, Potential, corrupt
from mlff.training.batches import EpochBatches, Position
from mlff.training.compiled import CompiledObjective, CompileError
from mlff.training.config import TrainingConfig
from mlff.training.losses import LossTerms
from mlff.training.metrics import Predict
from mlff.training.objective import Objective, evaluate_potential
from mlff.training.padding import BatchSize
from mlff.training.schedule import linear_decay
from mlff.training.stepping import SteppedModule, TrainingError


class PotentialModule(SteppedModule):
    """A potential in training.

    ``interval.losses`` [4] are total, energy, forces, stress; with DeNS [6], then noise and the number of steps that
    had one.

    Args:
        potential: the model; its normalisation is already set. Averages, validation and weights are of it alone.
        config: the run.
        source: batches of each epoch, to know where epochs end.
        total_steps: optimiser steps of the whole run.
        frame_name: words for a training frame in error messages.
        dens: the same potential with what DeNS adds to it, where ``config.dens`` asks for it.
        compiled_size: compile the steps of batches that fit into it; None: compile nothing.
    """

    def __init__(
        self,
        potential: Potential,
        config: TrainingConfig,
        source: EpochBatches,
        total_steps: int,
        frame_name: Callable[[int], str] = str,
        dens: DensPotential | None = None,
        compiled_size: BatchSize | None = None,
    ) -> None:
        num_losses = 4 if dens is None else 6
        super().__init__(potential, config.optimizer, config.ema, config.seed, total_steps, num_losses)
        self.potential = potential
        self.dens = dens
        self.objective = Objective(potential, config.loss, dens, config.dens)
        cutoff = config.model.cutoff
        self._compiled = None if compiled_size is None else CompiledObjective(self.objective, compiled_size, cutoff)
        self.config = config
        self.position = Position()
        self.dens_weight = 0.0 if config.dens is None else config.dens.weight
        self._source = source
        self._frame_name = frame_name

    @property
    def trained(self) -> nn.Module:
        return self.potential if self.dens is None else self.dens

    @property
    def model(self) -> nn.Module:
        return self.potential

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
        """Loss of a batch; raises TrainingError naming step and frames when it is not finite."""
        terms = self._loss(batch)
        # Before the backward pass, so that the weights and the averages stay usable.
        self.check_finite("loss", terms.total)
        parts = [terms.total.detach(), terms.energy, terms.forces, terms.stress]
        if self.dens is not None:
            noisy = isinstance(batch, CorruptedGraph) and batch.corrupted.any()
            parts += [terms.noise, torch.as_tensor(noisy).to(terms.noise)]
        self.add_losses(torch.stack(parts), _graph(batch).num_graphs)
        return terms.total

    def _loss(self, batch: AtomicGraph | CorruptedGraph) -> LossTerms:
        if self._compiled is None or not self._compiled.takes(batch):
            terms: LossTerms = self.objective(batch, self.dens_weight)
            return terms
        try:
            return self._compiled(batch, self.dens_weight)
        except CompileError as error:
            raise TrainingError(str(error)) from error

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
        """Sums and means of the losses since the last call, then start anew."""
        sums, count = self.interval.losses.tolist(), max(1, self.interval.steps)
        row = super().take_interval()
        names = ("loss_energy", "loss_forces", "loss_stress")
        row |= {name: value / count for name, value in zip(names, sums[1:4], strict=True)}
        if self.dens is not None:
            noise, noisy_steps = sums[4:]
            row["dens_weight"] = self.dens_weight
            if noisy_steps:
                row["loss_dens"] = noise / noisy_steps
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
