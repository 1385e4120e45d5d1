"""A training run of any kind, from configuration to report."""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from mlff.support.errors import ConfigError, Interrupted
from mlff.support.files import NOT_THERE, write_json
from mlff.support.folders import at_work
from mlff.support.kinds import find
from mlff.support.settings import dump
from mlff.support.signals import StopRequest
from mlff.training.callbacks import Keeper, OnStep
from mlff.training.checkpointing import load_state, load_weights
from mlff.training.config import RunConfig
from mlff.training.environment import git_commit, hardware, versions
from mlff.training.run_folder import RunFolder, check_output, check_same_run
from mlff.training.task import Placement, Task, TrainingRun
from mlff.training.trainer import build_trainer, fit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """Where a run left its files and the content of its report (None on processes other than the first)."""

    folder: RunFolder
    report: dict[str, Any] | None


def train(
    config: RunConfig,
    *,
    resume: bool = False,
    initial: Any = None,
    on_step: OnStep | None = None,
    stop: StopRequest | None = None,
) -> RunResult:
    """Train, save the best averaged weights and write the report.

    The run folder ``config.output`` then holds ``config.yaml``, ``metrics.csv``, ``tensorboard/``,
    ``checkpoints/last.pt`` (state to continue from), ``weights.safetensors`` (averaged weights with the lowest
    validation loss) and ``report/``.

    Seeds torch's global random generator (``torch.manual_seed``) at the start and before every step, so that a resumed
    run draws the same numbers. ``config.threads`` is for the command line and not applied here.

    Args:
        config: the run, of any kind.
        resume: continue from the saved state; without one, start.
        initial: weights to start from, as the task of the kind reads them; None: those of ``config.init_from``, if it
            is given. Those whose name and shape fit are used.
        on_step: called after every step with (step, total steps, latest metrics).
        stop: signals that came, where the caller listens to them; default: the run listens.

    Raises:
        InputError: another process is at work in the run folder.
        ConfigError, DataError: the configuration does not fit the data or the saved state; bad data.
        RunError: the loss or a gradient is not finite.
        Interrupted: a signal came; the state has been saved.
        OSError: the run folder cannot be written.
    """
    check_output(RunFolder(config.output), resume)
    first = getattr(rank_zero_only, "rank", 0) == 0  # of several processes
    with at_work(config.output) if first else nullcontext():
        return _train(config, resume, initial, on_step, stop or StopRequest())


def _train(config: RunConfig, resume: bool, initial: Any, on_step: OnStep | None, stop: StopRequest) -> RunResult:
    task: Task = find(config.kind).training_task
    config, folder, state = _opened(config, resume)
    trainer = build_trainer(config, folder, 0 if state is None else state["step"])
    if state is None and initial is None and config.init_from is not None:
        if not config.init_from.exists():
            raise ConfigError(f"init_from: {NOT_THERE.format(config.init_from)}")
        initial = task.read_initial(config.init_from)
    if state is None and initial is None and config.freeze:
        raise ConfigError("freeze: parts without initial weights would stay random; give init_from")
    placement = Placement(trainer.global_rank, trainer.world_size, trainer.strategy.root_device)
    torch.manual_seed(config.seed)
    run = task.prepare(config, state, placement, initial)
    module, config = run.module, run.config
    keeper = Keeper(folder, config, task, run, state, stop, on_step)
    if state is not None:
        module.restore_weights(state)
        logger.info("resuming at step %d of %d", module.step, module.total_steps)
    if stop():
        raise Interrupted(stop.signum)
    if trainer.is_global_zero:
        dump(config, folder.config)
        if state is None:
            run.write_start(folder)
    logger.info("%d parameters; %s%d steps", _size(module.model), run.describe(), module.total_steps)
    if module.step < module.total_steps and not (state is not None and keeper.time_is_over):
        trainer.callbacks.append(keeper)  # type: ignore[attr-defined]
        with stop.listening():
            fit(trainer, module, run.loader(), keeper)
    return RunResult(folder, _report(config, folder, run, keeper, trainer) if trainer.is_global_zero else None)


def _opened(config: RunConfig, resume: bool) -> tuple[RunConfig, RunFolder, dict[str, Any] | None]:
    """The configuration of a run, its folder, and the state to continue from."""
    folder = RunFolder(config.output)
    check_output(folder, resume)
    if not folder.state.exists():
        return config, folder, None
    state = load_state(folder.state)
    return check_same_run(config, folder), folder, state


def _report(
    config: RunConfig, folder: RunFolder, run: TrainingRun, keeper: Keeper, trainer: lightning.Trainer
) -> dict[str, Any]:
    """Write what is known about the best averaged weights, and what they were made with."""
    device, module = trainer.strategy.root_device, run.module
    model = module.averaged.module.to(device)
    model.load_state_dict(load_weights(folder.weights)[0])
    folder.report.mkdir(parents=True, exist_ok=True)
    report = {
        **run.report(folder, model.eval()),
        "best_validation": keeper.best,
        "steps": module.step,
        "epochs": module.epoch,
        "wall_time_minutes": keeper.elapsed / 60.0,
        "hardware": hardware(device),
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "parameters": _size(module.model),
        "seed": config.seed,
        "dtype": config.dtype,
        "versions": versions(),
        "git_commit": git_commit(),
        "parts": [part.model_dump() for part in keeper.parts],
    }
    write_json(folder.results, report)
    return report


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
