"""A model in training, step by step: optimiser, schedule, averaged weights, running means, state to resume from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from mlff.support.errors import RunError
from mlff.training.averaging import Averages
from mlff.training.config import RunConfig
from mlff.training.optimizers import build_optimizer, freeze
from mlff.training.schedule import learning_rate_factor


@dataclass
class Interval:
    """Running sums since the last row of the metrics table: losses, norm of the gradient, counts."""

    losses: Tensor
    gradient_norm: Tensor
    steps: int = 0
    frames: int = 0


class SteppedModule(lightning.LightningModule):
    """A model in training, whose state depends on nothing but its weights, its optimiser and the number of the step.

    A kind gives ``training_step(batch, batch_idx)``, which passes its losses to :meth:`add_losses` and returns the
    total, and ``transfer_batch_to_device`` where its batches are no tensors.

    Args:
        model: what is validated, averaged and saved.
        config: of the run.
        total_steps: optimiser steps of the whole run.
        parts: names of the losses after the total.
        steps_per_epoch: steps in which the training data are seen once.

    Raises:
        ConfigError: ``config.freeze`` names no part of the model, or leaves nothing to train.

    Attributes:
        linear_maps: modules whose ``weight`` [...,out,in] is a matrix for Muon.
    """

    linear_maps: tuple[type[nn.Module], ...] = (nn.Linear,)

    def __init__(
        self,
        model: nn.Module,
        config: RunConfig,
        total_steps: int,
        parts: Sequence[str] = (),
        steps_per_epoch: float = float("inf"),
    ) -> None:
        super().__init__()
        freeze(model, config.freeze)
        self.averaged = Averages(model, config.ema)
        self.model = model
        self.config = config
        self.total_steps = total_steps
        self.step = 0
        self.interval = Interval(torch.zeros(1 + len(parts)), torch.zeros(()))
        self._parts = tuple(parts)
        self._steps_per_epoch = steps_per_epoch
        self._settings = config.optimizer
        self._finite: dict[str, Tensor] = {}

    @property
    def trained(self) -> nn.Module:
        """All that the optimiser changes."""
        return self.model

    @property
    def epoch(self) -> int:
        """Passes through the data so far."""
        return int(self.step / self._steps_per_epoch)

    def where(self) -> str:
        """Words for the coming step and its data, for error messages."""
        return f"step {self.step + 1}. Lower optimizer.lr or optimizer.clip_norm, or check the data"

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient and remember its norm; RunError when it is not finite, see :meth:`check_finite`."""
        limit = self._settings.clip_norm
        norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), float("inf") if limit is None else limit)
        self.check_finite("gradient", norm)
        self.interval.gradient_norm += norm

    def check_finite(self, what: str, value: Tensor) -> None:
        """Raise RunError, with the step and its data, unless a scalar is finite.

        On a GPU the answer would have to be waited for in every step; there :meth:`confirm_finite` raises, later.
        """
        finite = torch.isfinite(value.detach())
        if value.is_cuda:
            self._finite[what] = finite & self._finite[what] if what in self._finite else finite
        elif not bool(finite):
            raise RunError(f"the {what} is {float(value.detach())} at {self.where()}")

    def confirm_finite(self) -> None:
        """Raise RunError if anything checked since the last call was not finite."""
        checked, self._finite = self._finite, {}
        for what, finite in checked.items():
            if not bool(finite):
                raise RunError(f"the {what} was not finite in one of the last steps before {self.where()}")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """That of the configuration."""
        return build_optimizer(self.trained, self._settings, self.linear_maps)

    def begin_step(self, optimizer: torch.optim.Optimizer, time_fraction: float) -> float:
        """Set learning rate and random numbers of the coming step; returns the learning rate.

        Every random draw of a step depends on (seed, step, process) only, so that no generator state has to be saved.
        """
        settings = self._settings
        warmup = settings.warmup_steps
        if warmup is None:
            warmup = round(settings.warmup_fraction * self.total_steps)
        progress = self.progress(time_fraction)
        factor = learning_rate_factor(self.step, self.total_steps, warmup, settings.min_lr_fraction, progress)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * factor
        torch.manual_seed(self.step_seed(purpose=0))
        return settings.lr * factor

    def progress(self, time_fraction: float) -> float:
        """The part of the time budget that is used, where schedules follow the time."""
        return time_fraction if self._settings.anneal_by == "time" else 0.0

    def end_step(self) -> bool:
        """Update the averages and the position; returns whether an epoch ended."""
        self.averaged.update_parameters(self.model)
        self.step += 1
        return False

    def take_interval(self) -> dict[str, float]:
        """Means since the last call, then start anew."""
        count = max(1, self.interval.steps)
        names = ("loss", *self._parts)
        row = {name: value / count for name, value in zip(names, self.interval.losses.tolist(), strict=True)}
        row["gradient_norm"] = float(self.interval.gradient_norm) / count
        self.interval = Interval(torch.zeros_like(self.interval.losses), torch.zeros_like(self.interval.gradient_norm))
        return row

    def add_losses(self, losses: Tensor, frames: int) -> None:
        """Add the losses of a step, the total first, to the running sums."""
        self.interval.losses += losses
        self.interval.steps += 1
        self.interval.frames += frames

    def run_state(self) -> dict[str, Any]:
        """Weights, averages, optimiser and step: all that the next step depends on."""
        interval = self.interval
        return {
            "trained": self.trained.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer().state_dict(),
            "step": self.step,
            "interval": [interval.losses, interval.gradient_norm, interval.steps, interval.frames],
        }

    def restore_weights(self, state: dict[str, Any]) -> None:
        """First half of the restore, before Lightning sets up: weights, averages and step."""
        self.trained.load_state_dict(state["trained"])
        self.averaged.load_state_dict(state["averaged"])
        self.step = state["step"]

    def restore_optimizer(self, state: dict[str, Any]) -> None:
        """Second half of the restore, once the optimiser exists and the module is on its device."""
        self._optimizer().load_state_dict(state["optimizer"])
        losses, norm, steps, frames = state["interval"]
        self.interval = Interval(losses.to(self.device), norm.to(self.device), steps, frames)

    def step_seed(self, purpose: int) -> int:
        """Of the random numbers of the coming step; mixed, because torch's CPU generator reads its lower half only."""
        entropy = (self.config.seed, self.step, self.global_rank, purpose)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _optimizer(self) -> torch.optim.Optimizer:
        return self.trainer.optimizers[0]
