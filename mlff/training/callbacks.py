"""What happens between the steps of any training: averages, logs, validation, saved states and stopping."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning

from mlff.support.signals import StopRequest
from mlff.training.checkpointing import save_state, save_weights
from mlff.training.config import RunConfig
from mlff.training.environment import RunPart
from mlff.training.lightning_module import SteppedModule
from mlff.training.metrics_table import MetricsTable, columns
from mlff.training.run_folder import RunFolder
from mlff.training.task import Task, TrainingRun

OnStep = Callable[[int, int, dict[str, float]], None]
logger = logging.getLogger(__name__)


class Stopped(Exception):
    """A signal asked to stop. Lightning would end the process at a KeyboardInterrupt."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@dataclass(eq=False)
class Keeper(lightning.Callback):
    """Drives the position of a run and keeps its folder.

    Attributes:
        folder: where states, weights and metrics go.
        config: the configuration of the run.
        task: of its kind.
        run: the run.
        state: state to continue from, or None.
        stop_request: signals that came.
        on_step: called after each step with (step, total steps, latest metrics), for a progress display.
    """

    folder: RunFolder
    config: RunConfig
    task: Task
    run: TrainingRun
    state: dict[str, Any] | None
    stop_request: StopRequest
    on_step: OnStep | None = None

    def __post_init__(self) -> None:
        state = self.state
        self._elapsed_before = float(state["elapsed"]) if state else 0.0
        self.best: dict[str, float] = dict(state["best"]) if state else {}
        # states of earlier versions do not say
        self.parts = [RunPart.model_validate(part) for part in state.get("parts", ())] if state else []
        self._shown: dict[str, float] = {}
        self._table: MetricsTable | None = None
        self._lr = 0.0
        self._started = self._last_save = self._last_row = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, resumes included."""
        return self._elapsed_before + time.monotonic() - self._started

    @property
    def time_is_over(self) -> bool:
        """Whether ``max_minutes`` have been used."""
        limit = self.config.max_minutes
        return limit is not None and self.elapsed >= 60.0 * limit

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module = _checked(pl_module)
        module.averaged.eval()
        if self.state is not None:
            module.restore_optimizer(self.state)
            self.state = None
        else:
            device = module.device
            module.interval.losses = module.interval.losses.to(device)
            module.interval.gradient_norm = module.interval.gradient_norm.to(device)
        if trainer.is_global_zero:
            self._table = MetricsTable(self.folder.metrics, module.step, columns(self.run.losses, self.run.errors))
            self.parts.append(RunPart.starting(module.step, self._elapsed_before / 60.0, module.device))
        self._started = self._last_save = self._last_row = time.monotonic()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        limit = self.config.max_minutes
        fraction = 0.0 if limit is None else self.elapsed / (60.0 * limit)
        self._lr = _checked(pl_module).begin_step(trainer.optimizers[0], fraction)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        module = _checked(pl_module)
        epoch_ended = module.end_step()
        out_of_time = self._out_of_time(trainer, module.step)
        validates = module.step >= module.total_steps or out_of_time or self.run.validation_is_due(epoch_ended)
        if validates or module.step % self.config.log_every == 0:
            module.confirm_finite()
            self._log_interval(trainer, module)
        if validates:
            self._validate(trainer, module)
        if self.on_step is not None:
            self.on_step(module.step, module.total_steps, self._shown)
        signum = self.stop_request.signum
        due = time.monotonic() - self._last_save > 60.0 * self.config.save_every_minutes
        if validates or signum or due:
            self.save(trainer, module)
        if signum:
            raise Stopped(signum)
        if out_of_time:
            trainer.should_stop = True

    def save(self, trainer: lightning.Trainer, module: SteppedModule) -> None:
        """Write the state to continue from; raises RunError if it is not worth that."""
        module.confirm_finite()
        if trainer.is_global_zero:
            state = module.run_state() | {"elapsed": self.elapsed, "best": self.best}
            state |= {"config": self.config.model_dump_json(), "parts": [part.model_dump() for part in self.parts]}
            save_state(self.folder.state, state | self.run.facts())
        self._last_save = time.monotonic()

    def _out_of_time(self, trainer: lightning.Trainer, step: int) -> bool:
        if trainer.world_size == 1 or self.config.max_minutes is None:
            return self.time_is_over
        # All processes must agree; asking at every step would cost a synchronisation.
        return step % 16 == 0 and bool(trainer.strategy.reduce_boolean_decision(self.time_is_over, all=False))

    def _log_interval(self, trainer: lightning.Trainer, module: SteppedModule) -> None:
        if module.interval.steps == 0:
            return
        frames = module.interval.frames * trainer.world_size
        row = module.take_interval()
        now = time.monotonic()
        row["frames_per_second"] = frames / max(1e-9, now - self._last_row)
        self._last_row = now
        self._write(trainer, module, row | {"lr": self._lr})

    def _validate(self, trainer: lightning.Trainer, module: SteppedModule) -> None:
        row = self.run.validate(module.averaged.module)
        self._last_row = time.monotonic()  # frames per second count training only
        self._write(trainer, module, row)
        if not trainer.is_global_zero:
            return
        # the first weights are kept whatever they are, so that a run always has some
        improved = not self.best or row["val_loss"] < self.best["val_loss"] or not math.isfinite(self.best["val_loss"])
        if improved:
            self.best = row | {"step": module.step, "epoch": module.epoch, "minutes": self.elapsed / 60.0}
            about = {"kind": self.config.kind, "best": json.dumps(self.best)}
            save_weights(self.folder.weights, module.averaged.module, about | self.run.weights_metadata())
        where = module.epoch, module.step, module.total_steps, self.elapsed / 60.0
        errors = self.task.describe(row) + ("  best" if improved else "")
        logger.info("epoch %d  step %d/%d  %.1f min  val %s", *where, errors)

    def _write(self, trainer: lightning.Trainer, module: SteppedModule, row: dict[str, float]) -> None:
        self._shown |= row
        row = {"step": module.step, "epoch": module.epoch, "minutes": self.elapsed / 60.0} | row
        if self._table is not None:
            self._table.append(row)
        for tensorboard in trainer.loggers:
            tensorboard.log_metrics({k: v for k, v in row.items() if k not in ("step",)}, step=module.step)


def _checked(module: lightning.LightningModule) -> SteppedModule:
    if not isinstance(module, SteppedModule):
        raise TypeError(f"a keeper drives a SteppedModule, got {type(module).__name__}")
    return module
