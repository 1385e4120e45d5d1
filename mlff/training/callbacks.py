"""What happens between steps: averages, logs, validation, saved states and stopping."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import lightning
import torch

from mlff.training.batches import GraphSource, graph_batches
from mlff.training.config import TrainingConfig
from mlff.training.folder import RunFolder
from mlff.training.metrics import error_sums, errors_from_sums, predict
from mlff.training.module import PotentialModule, potential_predictor
from mlff.training.record import MetricsTable
from mlff.training.signals import StopRequest
from mlff.training.state import save_state, save_weights

_QUANTITIES = ("energy_per_atom", "forces", "stress")
OnStep = Callable[[int, int, dict[str, float]], None]
logger = logging.getLogger(__name__)


class TrainingInterrupted(Exception):
    """Training was stopped by a signal after its state had been saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum


class RunKeeper(lightning.Callback):
    """Drives the position of a run and keeps its folder.

    Args:
        folder: where states, weights and metrics go.
        config: the run.
        validation: labelled frames.
        state: state to continue from, or None.
        stop_request: signals that came.
        on_step: called after each step with (step, total steps, latest metrics), for a progress display.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: TrainingConfig,
        validation: GraphSource,
        state: dict[str, Any] | None,
        stop_request: StopRequest,
        on_step: OnStep | None = None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._validation = validation
        self._state = state
        self._stop_request = stop_request
        self._on_step = on_step
        self._elapsed_before = float(state["elapsed"]) if state else 0.0
        self.best: dict[str, float] = dict(state["best"]) if state else {}
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
        limit = self._config.max_minutes
        return limit is not None and self.elapsed >= 60.0 * limit

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module = _checked(pl_module)
        module.averaged.eval()
        if self._state is not None:
            module.restore_optimizer(self._state)
            self._state = None
        else:
            device = module.device
            module.interval.losses = module.interval.losses.to(device)
            module.interval.gradient_norm = module.interval.gradient_norm.to(device)
        if trainer.is_global_zero:
            self._table = MetricsTable(self._folder.metrics, module.step)
        self._started = self._last_save = self._last_row = time.monotonic()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        limit = self._config.max_minutes
        fraction = 0.0 if limit is None else self.elapsed / (60.0 * limit)
        self._lr = _checked(pl_module).begin_step(trainer.optimizers[0], fraction)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        module = _checked(pl_module)
        epoch_ended = module.end_step()
        finished = module.step >= module.total_steps
        out_of_time = self._out_of_time(trainer, module.step)
        validates = finished or out_of_time
        validates |= epoch_ended and module.position.epoch % self._config.validate_every == 0
        if validates or module.step % self._config.log_every == 0:
            self._log_interval(trainer, module)
        if validates:
            self._validate(trainer, module)
        if self._on_step is not None:
            self._on_step(module.step, module.total_steps, self._shown)
        signum = self._stop_request.signum
        due = time.monotonic() - self._last_save > 60.0 * self._config.save_every_minutes
        if validates or signum or due:
            self.save(trainer, module)
        if signum:
            raise TrainingInterrupted(signum)
        if out_of_time:
            trainer.should_stop = True

    def save(self, trainer: lightning.Trainer, module: PotentialModule) -> None:
        """Write the state to continue from."""
        if trainer.is_global_zero:
            state = module.run_state() | {"elapsed": self.elapsed, "best": self.best}
            save_state(self._folder.state, state | {"config": self._config.model_dump_json()})
        self._last_save = time.monotonic()

    def _out_of_time(self, trainer: lightning.Trainer, step: int) -> bool:
        if trainer.world_size == 1 or self._config.max_minutes is None:
            return self.time_is_over
        # All processes must agree; asking at every step would cost a synchronisation.
        return step % 16 == 0 and bool(trainer.strategy.reduce_boolean_decision(self.time_is_over, all=False))

    def _log_interval(self, trainer: lightning.Trainer, module: PotentialModule) -> None:
        if module.interval.steps == 0:
            return
        frames = module.interval.frames * trainer.world_size
        row = module.take_interval()
        now = time.monotonic()
        row["frames_per_second"] = frames / max(1e-9, now - self._last_row)
        self._last_row = now
        self._write(trainer, module, row | {"lr": self._lr})

    def _validate(self, trainer: lightning.Trainer, module: PotentialModule) -> None:
        sums = self._validation_sums(module, trainer.global_rank, trainer.world_size)
        if trainer.world_size > 1:
            sums = trainer.strategy.reduce(sums.to(module.device), reduce_op="sum").cpu()  # type: ignore[union-attr]
        known = {name: row for name, row in zip(_QUANTITIES, sums.tolist(), strict=True) if row[2]}
        errors = errors_from_sums({name: (row[0], row[1], int(row[2])) for name, row in known.items()})
        loss = self._config.loss
        weights = {"energy_per_atom": loss.energy_weight, "forces": loss.forces_weight, "stress": loss.stress_weight}
        score = sum(weight * errors.get(f"{name}_mae", 0.0) for name, weight in weights.items())
        row = {"val_loss": score} | {f"val_{name}": value for name, value in errors.items()}
        self._last_row = time.monotonic()  # frames per second count training only
        self._write(trainer, module, row)
        if not trainer.is_global_zero:
            return
        improved = not score >= self.best.get("val_loss", float("inf"))
        if improved:
            self.best = row | {"step": module.step, "epoch": module.position.epoch, "minutes": self.elapsed / 60.0}
            self._save_weights(module)
        logger.info(
            "epoch %d  step %d/%d  %.1f min  val energy %.2f meV/atom, forces %.1f meV/A (MAE)%s",
            module.position.epoch,
            module.step,
            module.total_steps,
            self.elapsed / 60.0,
            1e3 * errors.get("energy_per_atom_mae", float("nan")),
            1e3 * errors.get("forces_mae", float("nan")),
            "  best" if improved else "",
        )

    def _validation_sums(self, module: PotentialModule, rank: int, processes: int) -> torch.Tensor:
        """[3, 3]: rows energy per atom, forces, stress; columns sum of |d|, sum of d^2, count; this process's part."""
        total = torch.zeros(len(_QUANTITIES), 3, dtype=torch.float64)
        own = range(rank, len(self._validation), processes)
        if len(own) > 0:
            graphs = graph_batches(self._validation, own, self._config.batch_size, module.device)
            stress = self._config.loss.stress_weight > 0
            predictor = potential_predictor(module.averaged.module)
            sums = error_sums(predict(graphs, predictor, stress, self._config.loss.fixed_atoms))
            for row, name in enumerate(_QUANTITIES):
                if name in sums:
                    total[row] = torch.tensor(sums[name], dtype=torch.float64)
        return total

    def _save_weights(self, module: PotentialModule) -> None:
        metadata = {
            "model": self._config.model.model_dump_json(),
            "best": json.dumps(self.best),
        }
        save_weights(self._folder.weights, module.averaged.module, metadata)

    def _write(self, trainer: lightning.Trainer, module: PotentialModule, row: dict[str, float]) -> None:
        self._shown |= row
        row = {"step": module.step, "epoch": module.position.epoch, "minutes": self.elapsed / 60.0} | row
        if self._table is not None:
            self._table.append(row)
        for tensorboard in trainer.loggers:
            tensorboard.log_metrics({k: v for k, v in row.items() if k not in ("step",)}, step=module.step)


def _checked(module: lightning.LightningModule) -> PotentialModule:
    if not isinstance(module, PotentialModule):
        raise TypeError(f"RunKeeper drives a PotentialModule, got {type(module).__name__}")
    return module
