"""The Lightning module: one training step, the optimiser, the averaged weights and the position in the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from mlff.graph import AtomicGraph
from mlff.potential import CorruptedGraph, DensPotential, Potential, corrupt
from mlff.training.averaging import averaged_copy
from mlff.training.batches import EpochBatches, Position
from mlff.training.compiled import CompiledObjective, CompileError
from mlff.training.config import TrainingConfig
from mlff.training.losses import LossTerms
from mlff.training.metrics import Predict
from mlff.training.objective import Objective, evaluate_potential
from mlff.training.padding import BatchSize
from mlff.training.schedule import learning_rate_factor, linear_decay


class TrainingError(RuntimeError):
    """Training cannot go on, for example because the loss is not finite."""


@dataclass
class Interval:
    """Running sums since the last row of the metrics table: losses and counts.

    Losses [4] are total, energy, forces, stress; with DeNS [6], then noise and the number of steps that had one.
    """

    losses: Tensor
    gradient_norm: Tensor
    steps: int = 0
    frames: int = 0


class PotentialModule(lightning.LightningModule):
    """A potential in training.

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
        super().__init__()
        self.potential = potential
        self.dens = dens
        self.objective = Objective(potential, config.loss, dens, config.dens)
        cutoff = config.model.cutoff
        self._compiled = None if compiled_size is None else CompiledObjective(self.objective, compiled_size, cutoff)
        self.averaged = averaged_copy(potential, config.ema)
        self.config = config
        self.total_steps = total_steps
        self.step = 0
        self.position = Position()
        self.interval = Interval(torch.zeros(4 if dens is None else 6), torch.zeros(()))
        self.dens_weight = 0.0 if config.dens is None else config.dens.weight
        self._source = source
        self._frame_name = frame_name

    @property
    def trained(self) -> nn.Module:
        """All that the optimiser changes."""
        return self.potential if self.dens is None else self.dens

    def on_before_batch_transfer(self, batch: AtomicGraph, dataloader_idx: int) -> AtomicGraph | CorruptedGraph:
        """Corrupt a training batch for DeNS, on the CPU; like every draw of a step it depends on its number only."""
        if self.config.dens is None:
            return batch
        generator = torch.Generator().manual_seed(self._seed(purpose=1))
        model = self.config.model
        return corrupt(batch, self.config.dens, model.cutoff, model.max_neighbors, generator)

    def transfer_batch_to_device(
        self, batch: AtomicGraph | CorruptedGraph, device: torch.device, dataloader_idx: int
    ) -> AtomicGraph | CorruptedGraph:
        """Called by Lightning; the graph moves itself."""
        return batch if _graph(batch).positions.device == device else batch.to(device=device)

    def training_step(self, batch: AtomicGraph | CorruptedGraph, batch_idx: int) -> Tensor:
        """Loss of a batch; raises TrainingError naming step and frames when it is not finite."""
        terms = self._loss(batch)
        # Before the backward pass, so that the weights and the averages stay usable.
        if not bool(torch.isfinite(terms.total)):
            raise TrainingError(self._not_finite("loss", float(terms.total.detach())))
        parts = [terms.total.detach(), terms.energy, terms.forces, terms.stress]
        if self.dens is not None:
            parts += [terms.noise, torch.full_like(terms.noise, float(isinstance(batch, CorruptedGraph)))]
        self.interval.losses += torch.stack(parts)
        self.interval.steps += 1
        self.interval.frames += _graph(batch).num_graphs
        return terms.total

    def _loss(self, batch: AtomicGraph | CorruptedGraph) -> LossTerms:
        if self._compiled is None or not self._compiled.takes(batch):
            terms: LossTerms = self.objective(batch, self.dens_weight)
            return terms
        try:
            return self._compiled(batch, self.dens_weight)
        except CompileError as error:
            raise TrainingError(str(error)) from error

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient and remember its norm; raises TrainingError when it is not finite."""
        limit = self.config.optimizer.clip_norm
        norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), float("inf") if limit is None else limit)
        if not bool(torch.isfinite(norm)):
            raise TrainingError(self._not_finite("gradient", float(norm)))
        self.interval.gradient_norm += norm

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with weight decay on matrices only."""
        settings = self.config.optimizer
        return torch.optim.AdamW(
            parameter_groups(self.trained, settings.weight_decay), lr=settings.lr, betas=settings.betas, fused=True
        )

    def begin_step(self, optimizer: torch.optim.Optimizer, time_fraction: float) -> float:
        """Set learning rate, weight of the noise and random numbers of the coming step; returns the learning rate.

        Every random draw of a step depends on (seed, step, process) only, so that no generator state has to be saved.
        """
        settings = self.config.optimizer
        warmup = settings.warmup_steps
        if warmup is None:
            warmup = round(settings.warmup_fraction * self.total_steps)
        progress = time_fraction if settings.anneal_by == "time" else 0.0
        factor = learning_rate_factor(self.step, self.total_steps, warmup, settings.min_lr_fraction, progress)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * factor
        dens = self.config.dens
        if dens is not None and dens.weight_decay == "linear":
            self.dens_weight = dens.weight * linear_decay(self.step, self.total_steps, progress)
        torch.manual_seed(self._seed(purpose=0))
        return settings.lr * factor

    def end_step(self) -> bool:
        """Update the averages and the position; returns whether an epoch ended."""
        self.averaged.update_parameters(self.potential)
        self.step += 1
        ended = self.position.index + 1 >= len(self._source.batches(self.position.epoch))
        epoch, index = (self.position.epoch + 1, 0) if ended else (self.position.epoch, self.position.index + 1)
        self.position = Position(epoch, index)
        return ended

    def take_interval(self) -> dict[str, float]:
        """Means since the last call, then start anew."""
        losses = (self.interval.losses[:4] / max(1, self.interval.steps)).tolist()
        row = dict(zip(("loss", "loss_energy", "loss_forces", "loss_stress"), losses, strict=True))
        if self.dens is not None:
            noise, count = self.interval.losses[4:].tolist()
            row["dens_weight"] = self.dens_weight
            if count:
                row["loss_dens"] = noise / count
        row["gradient_norm"] = float(self.interval.gradient_norm) / max(1, self.interval.steps)
        self.interval = Interval(torch.zeros_like(self.interval.losses), torch.zeros_like(self.interval.gradient_norm))
        return row

    def run_state(self) -> dict[str, Any]:
        """Weights, averages, optimiser and position: all that the next step depends on."""
        interval = self.interval
        return {
            "potential": self.trained.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer().state_dict(),
            "step": self.step,
            "epoch": self.position.epoch,
            "index": self.position.index,
            "interval": [interval.losses, interval.gradient_norm, interval.steps, interval.frames],
        }

    def restore_weights(self, state: dict[str, Any]) -> None:
        """First half of the restore, before Lightning sets up: weights, averages and position."""
        self.trained.load_state_dict(state["potential"])
        self.averaged.load_state_dict(state["averaged"])
        self.step = state["step"]
        self.position = Position(state["epoch"], state["index"])

    def restore_optimizer(self, state: dict[str, Any]) -> None:
        """Second half of the restore, once the optimiser exists and the module is on its device."""
        self._optimizer().load_state_dict(state["optimizer"])
        losses, norm, steps, frames = state["interval"]
        self.interval = Interval(losses.to(self.device), norm.to(self.device), steps, frames)

    def _seed(self, purpose: int) -> int:
        """Of the random numbers of the coming step; mixed, because torch's CPU generator reads its lower half only."""
        entropy = (self.config.seed, self.step, self.global_rank, purpose)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _optimizer(self) -> torch.optim.Optimizer:
        return self.trainer.optimizers[0]

    def _not_finite(self, what: str, value: float) -> str:
        indices = self._source.batches(self.position.epoch)[self.position.index]
        frames = "; ".join(self._frame_name(index) for index in indices)
        return (
            f"the {what} is {value} at step {self.step + 1} (epoch {self.position.epoch + 1}). Check the labels of the "
            f"frames of this step, or lower optimizer.lr or optimizer.clip_norm. Frames: {frames}"
        )


def _graph(batch: AtomicGraph | CorruptedGraph) -> AtomicGraph:
    return batch.graph if isinstance(batch, CorruptedGraph) else batch


def potential_predictor(potential: nn.Module) -> Predict:
    """``evaluate_potential`` of one model as the function that ``metrics.predict`` takes."""
    return lambda graph, stress: evaluate_potential(potential, graph, stress)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for the optimiser: weight decay on matrices, none on biases, norms and other vectors or scalars."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            exempt = parameter.ndim < 2 or "norm" in name.lower() or name.rsplit(".", 1)[-1].startswith("bias")
            (others if exempt else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
