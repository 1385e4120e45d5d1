"""A training of a jump model from configuration to weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from mlff.equijump.model import JumpConfig, JumpModel
from mlff.support.signals import StopRequest
from mlff.training.config import ConfigError, dump_config
from mlff.training.environment import git_commit, hardware, versions
from mlff.training.folder import RunFolder
from mlff.training.jumps.config import JumpTrainingConfig
from mlff.training.jumps.keeper import JumpKeeper
from mlff.training.jumps.module import JumpModule
from mlff.training.jumps.plot import plot_jump_training
from mlff.training.jumps.trained import load_trained_jump
from mlff.training.keeping import OnStep
from mlff.training.report import write_json
from mlff.training.running import MAY_CHANGE, build_trainer, check_output, check_same_run, fit
from mlff.training.state import load_matching, load_state
from mlff.trajectories import (
    DataError,
    JumpBatch,
    PairSampler,
    SystemData,
    displacement,
    fingerprint,
    fixed_pairs,
    load_dataset,
    make_batch,
    provenance,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JumpRunResult:
    """Where a run left its files and the content of its report."""

    folder: RunFolder
    report: dict[str, Any] | None


def train_jump(config: JumpTrainingConfig, *, resume: bool = False, on_step: OnStep | None = None) -> JumpRunResult:
    """Train and save the averaged weights with the lowest validation loss.

    The run folder ``config.output`` then holds ``config.yaml``, ``metrics.csv``, ``tensorboard/``,
    ``checkpoints/last.pt`` (state to continue from), ``weights.safetensors`` and ``report/``.

    Seeds torch's global random generator at the start and before every step, so that a resumed run draws the same
    numbers. ``config.threads`` is for the command line and not applied here.

    Args:
        config: the run.
        resume: continue from the saved state; without one, start.
        on_step: called after every step with (step, total steps, latest metrics).

    Raises:
        ConfigError: the configuration does not fit the data or the saved state.
        mlff.trajectories.DataError: bad trajectories, or a lag that they cannot have.
        TrainingError: the loss or a gradient is not finite.
        TrainingInterrupted: a signal came; the state has been saved.
        OSError: the run folder cannot be written.
    """
    folder = RunFolder(config.output)
    check_output(folder)
    state = load_state(folder.state) if resume and folder.state.exists() else None
    if state is None and folder.state.exists() and not resume:
        raise ConfigError(f"{folder.root} already holds a run: resume it, or choose another output folder")
    if state is not None:
        check_same_run(config, folder, MAY_CHANGE | {"init_from", "workers"})
    trainer = build_trainer(config, folder, 0 if state is None else state["step"])
    systems = load_dataset(config.data.folders)
    data = fingerprint(systems)
    if state is not None and state["data"] != data:
        raise ConfigError(
            f"{folder.root}: cannot resume, because the trajectories have changed since it began; to go on with "
            "them, start a new run with init_from"
        )
    sampler = _sampler(config, systems)
    model_config = _with_noise(config, systems) if state is None else JumpConfig.model_validate_json(state["model"])
    torch.manual_seed(config.seed)
    model = JumpModel(model_config, list(config.data.lags))
    for parameter in model.parameters():
        parameter.data = parameter.data.to(getattr(torch, config.dtype))
    if state is None and config.init_from is not None:
        _start_from(config.init_from, model)

    stop_request = StopRequest()
    validation = _validation(config, systems)
    about = provenance(systems)
    keeper = JumpKeeper(folder, config, model_config, data, about, validation, state, stop_request, on_step)
    trainer.callbacks.append(keeper)  # type: ignore[attr-defined]
    frames = sum(system["frames"] for system in about)
    module = JumpModule(model, config, config.steps, frames / (config.batch_size * trainer.world_size))
    if state is not None:
        module.restore_weights(state)
        logger.info("resuming at step %d of %d", module.step, config.steps)
    if trainer.is_global_zero:
        folder.root.mkdir(parents=True, exist_ok=True)
        dump_config(config, folder.config)
    logger.info(
        "%d parameters; %d systems to train on, %d frames; %d steps; noise %.3f Å (anchors), %.3f Å (vectors)",
        sum(parameter.numel() for parameter in model.parameters()),
        len(about),
        frames,
        config.steps,
        model_config.transport.position_noise,
        model_config.transport.vector_noise,
    )
    if module.step < config.steps and not (state is not None and keeper.time_is_over):
        batches = _Batches(sampler, trainer.global_rank)
        remaining = _Steps(module.step, config.steps)
        loader = DataLoader(batches, sampler=remaining, batch_size=None, num_workers=config.workers)
        with stop_request.listening():
            fit(trainer, module, loader, keeper)
    if not trainer.is_global_zero:
        return JumpRunResult(folder, None)
    return JumpRunResult(folder, _report(config, folder, about, keeper, module, trainer.strategy.root_device))


class _Batches(Dataset[JumpBatch]):
    """The batch of a step."""

    def __init__(self, sampler: PairSampler, rank: int) -> None:
        self._sampler = sampler
        self._rank = rank

    def __getitem__(self, step: int) -> JumpBatch:
        return self._sampler.batch(step, self._rank)


class _Steps(Sampler[int]):
    """The numbers of the steps that are left."""

    def __init__(self, first: int, end: int) -> None:
        self._range = range(first, end)

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)


def _sampler(config: JumpTrainingConfig, systems: tuple[SystemData, ...]) -> PairSampler:
    data = config.data
    unrolls = config.unroll is not None and config.unroll.probability > 0
    return PairSampler(
        systems,
        "train",
        data.lags,
        config.batch_size,
        config.seed,
        balance=data.balance,
        num_targets=2 if unrolls else 1,
        systems_per_batch=data.systems_per_batch,
    )


def _with_noise(config: JumpTrainingConfig, systems: tuple[SystemData, ...]) -> JumpConfig:
    """The model, with the noise of its transport measured where the configuration says so."""
    if config.noise == "config":
        return config.model
    moved = displacement(systems, max(config.data.lags))
    if not min(moved) > 0:
        raise ConfigError(
            f"noise: data: the rms displacement is {moved.anchors:g} Å of anchors and {moved.vectors:g} Å of vectors; "
            "0 is no noise (a single residue has no moving anchor): give model.transport and noise: config"
        )
    changes = {"position_noise": round(moved.anchors, 4), "vector_noise": round(moved.vectors, 4)}
    return config.model.model_copy(update={"transport": config.model.transport.model_copy(update=changes)})


def _start_from(source: Path, model: JumpModel) -> None:
    """Copy the weights that fit; noise and steps stay those of the new run."""
    initial, _ = load_trained_jump(source)
    new, unused = load_matching(model, dict(initial.state_dict()))
    if new or unused:
        logger.warning("started afresh: %s; without a place in this model: %s", new or "none", unused or "none")


def _validation(config: JumpTrainingConfig, systems: tuple[SystemData, ...]) -> list[JumpBatch]:
    try:
        pairs = fixed_pairs(systems, "val", config.data.lags, config.data.validation_pairs)
    except DataError as error:
        raise ConfigError(f"data: nothing to validate with: {error}") from error
    return [make_batch(systems, indices) for indices in pairs]


def _report(
    config: JumpTrainingConfig,
    folder: RunFolder,
    training_data: list[dict[str, Any]],
    keeper: JumpKeeper,
    module: JumpModule,
    device: torch.device,
) -> dict[str, Any]:
    """Write ``report/metrics.json`` and the learning curve; ``device``: of the training, which the module has left."""
    folder.report.mkdir(parents=True, exist_ok=True)
    plot_jump_training(folder.metrics, folder.report / "learning_curve.png")
    report: dict[str, Any] = {
        "best_validation": keeper.best,
        "steps": module.step,
        "wall_time_minutes": keeper.elapsed / 60.0,
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in module.jump.parameters()),
        "systems": [system["name"] for system in training_data],
        "training_data": training_data,
        "lags_ps": list(config.data.lags),
        "seed": config.seed,
        "versions": versions(),
        "git_commit": git_commit(),
        "parts": [part.model_dump() for part in keeper.parts],
    }
    write_json(folder.report / "metrics.json", report)
    return report
