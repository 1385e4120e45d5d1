"""A training run from configuration to report."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from torch.utils.data import DataLoader

from mlff.data import (
    BatchSampler,
    DataError,
    DataSplits,
    GraphDataset,
    collate,
    compute_statistics,
    load_splits,
)
from mlff.graph import AtomicGraph
from mlff.potential import Potential
from mlff.training.batches import EpochBatches, StepSampler
from mlff.training.callbacks import OnStep, RunKeeper, TrainingInterrupted
from mlff.training.config import ConfigError, TrainingConfig, dump_config, load_config
from mlff.training.folder import RunFolder
from mlff.training.module import PotentialModule
from mlff.training.padding import BatchSize
from mlff.training.signals import StopRequest
from mlff.training.start import add_dens, build_potential, refit_reference_energies, set_start
from mlff.training.state import InitialWeights, load_state
from mlff.training.summary import write_report

logger = logging.getLogger(__name__)

# A resumed run may change these; everything else decides what the next step computes.
_MAY_CHANGE = {
    *("max_minutes", "validate_every", "save_every_minutes", "log_every"),
    *("threads", "accelerator", "output", "init_from", "reference_energies"),
}
# The graphs are in memory, so the loader needs no workers; the averaged copy is in eval mode on purpose; the rest are
# names that torch deprecates and Lightning still uses.
_KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*module\\(s\\) in eval mode.*",
    ".*LeafSpec.*",
    ".*broadcast_buffers.*",
    ".*find_unused_parameters=True was specified.*",
)


@dataclass(frozen=True)
class RunResult:
    """Where a run left its files and the content of its report (None on processes other than the first)."""

    folder: RunFolder
    report: dict[str, Any] | None


def train(
    config: TrainingConfig,
    *,
    resume: bool = False,
    initial: InitialWeights | None = None,
    on_step: OnStep | None = None,
) -> RunResult:
    """Train, save the best averaged weights and write the report.

    The run folder ``config.output`` then holds ``config.yaml``, ``metrics.csv``, ``tensorboard/``,
    ``checkpoints/last.pt`` (state to continue from), ``weights.safetensors`` (averaged weights with the lowest
    validation error) and ``report/``.

    The normalisation (reference energies, scale, average degree) comes from the training part of the data, or, with
    ``initial`` weights, from these: they were trained with those values. Only the reference energies are then shifted
    to the training part, see ``TrainingConfig.reference_energies``.

    Seeds torch's global random generator (``torch.manual_seed``) at the start and before every step, so that a resumed
    run draws the same numbers. ``config.threads`` is for the command line and not applied here.

    Args:
        config: the run.
        resume: continue from the saved state; without one, start.
        initial: weights to start from; those whose name and shape fit are used.
        on_step: called after every step with (step, total steps, latest metrics).

    Raises:
        ConfigError: the configuration does not fit the data or the saved state.
        DataError: bad data, or no pair of atoms within the cutoff.
        TrainingError: the loss or a gradient is not finite.
        TrainingInterrupted: a signal came; the state has been saved.
        OSError: the run folder cannot be written.
    """
    folder = RunFolder(config.output)
    _check_output(folder)
    state = load_state(folder.state) if resume and folder.state.exists() else None
    if state is None and folder.state.exists() and not resume:
        raise ConfigError(f"{folder.root} already holds a run: resume it, or choose another output folder")
    if state is not None:
        _check_same_run(config, folder)
    trainer = _trainer(config, folder, 0 if state is None else state["step"])
    splits = load_splits(config.data)
    _check_data(config, splits)
    dtype = getattr(torch, config.dtype)
    parts = {
        name: GraphDataset(frames, config.model.cutoff, config.model.max_neighbors, config.data.cache, dtype=dtype)
        for name, frames in (("train", splits.train), ("val", splits.val), ("test", splits.test))
    }
    _check_edges(parts["train"])
    torch.manual_seed(config.seed)
    potential = build_potential(config)
    statistics = None
    if state is None:
        statistics = compute_statistics(_graphs(parts["train"]), isolated_atoms=splits.isolated_atoms)
        set_start(potential, statistics, initial)
        if initial is not None and config.reference_energies == "refit":
            device, size = trainer.strategy.root_device, config.batch_size
            refit_reference_energies(potential, parts["train"], device=device, batch_size=size, seed=config.seed)

    stop_request = StopRequest()
    keeper = RunKeeper(folder, config, parts["val"], state, stop_request, on_step)
    trainer.callbacks.append(keeper)  # type: ignore[attr-defined]
    sampler = BatchSampler(
        parts["train"].edge_counts,
        config.batch_size,
        seed=config.seed,
        max_edges=config.max_edges,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    source = EpochBatches(sampler)
    total = config.epochs * len(source.batches(0))
    total = total if config.max_steps is None else min(total, config.max_steps)
    frames = splits.train
    module = PotentialModule(
        potential,
        config,
        source,
        total,
        lambda i: f"{frames[i].source}, frame {frames[i].index}",
        dens=add_dens(potential, config),
        compiled_size=_compiled_size(config, parts["train"]) if config.compile else None,
    )
    if state is not None:
        module.restore_weights(state)
        logger.info("resuming at step %d of %d", module.step, total)
    if trainer.is_global_zero:
        folder.root.mkdir(parents=True, exist_ok=True)
        dump_config(config, folder.config)
        if statistics is not None:
            folder.write_data_record(splits, statistics)
    _log_size(potential, splits, total)

    if module.step < total and not (state is not None and keeper.time_is_over):
        loader = DataLoader(
            parts["train"],
            batch_sampler=StepSampler(source, module.position, total - module.step),
            collate_fn=collate,
            generator=torch.Generator().manual_seed(config.seed),
        )
        with stop_request.listening():
            _fit(trainer, module, loader, keeper)
    report = write_report(config, folder, parts["test"], keeper, module, trainer) if trainer.is_global_zero else None
    return RunResult(folder, report)


def _fit(trainer: lightning.Trainer, module: PotentialModule, loader: DataLoader[Any], keeper: RunKeeper) -> None:
    try:
        with warnings.catch_warnings():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            trainer.fit(module, loader)
    except SIGTERMException as error:
        # The signal came between the last look at it and the end of the step.
        keeper.save(trainer, module)
        raise TrainingInterrupted(signal.SIGTERM) from error


def _trainer(config: TrainingConfig, folder: RunFolder, step: int) -> lightning.Trainer:
    accelerator = config.accelerator
    if accelerator == "auto":
        # Other accelerators lack float64, which the energy sum needs.
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    strategy: str | Strategy = "auto"
    if config.devices != 1 or config.num_nodes > 1:
        # The published presets hold parameters that no loss reaches, such as the grid path in the energy head.
        strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=True)
    try:
        return lightning.Trainer(
            accelerator=accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=strategy,
            max_epochs=1,  # the loader passes through all epochs of the run, see StepSampler
            limit_val_batches=0,
            num_sanity_val_steps=0,
            log_every_n_steps=1,  # nothing goes through Lightning's own logging; larger values cause warnings
            logger=TensorBoardLogger(folder.root, name="", version="tensorboard", purge_step=step),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder.root,
        )
    except (MisconfigurationException, ImportError, ValueError, RuntimeError) as error:
        chosen = f"accelerator {config.accelerator}, devices {config.devices}, num_nodes {config.num_nodes}"
        raise ConfigError(f"{chosen}: not possible here ({error})") from error


def _compiled_size(config: TrainingConfig, train: GraphDataset) -> BatchSize:
    atoms = [len(frame.atoms) for frame in train.frames]
    return BatchSize.typical(atoms, train.edge_counts.tolist(), config.batch_size)


def _check_output(folder: RunFolder) -> None:
    """Before the data are read: can the run folder be written?"""
    existing = next(path for path in (folder.root, *folder.root.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"output: {folder.root} cannot be a run folder, because {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"output: {folder.root} cannot be written (no permission in {existing})")


def _check_same_run(config: TrainingConfig, folder: RunFolder) -> None:
    before = load_config(folder.config)
    old, new = _decisive(before), _decisive(config)
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        raise ConfigError(
            f"{folder.root}: cannot resume, because these parts of the configuration changed: {', '.join(changed)}; "
            "to start from its weights with other settings, use init_from and a new output folder"
        )


def _decisive(config: TrainingConfig) -> dict[str, Any]:
    """What a resumed run must not change."""
    content = config.model_dump(exclude=_MAY_CHANGE)
    del content["data"]["cache"]
    return content


def _check_edges(train: GraphDataset) -> None:
    if not train.edge_counts.any():
        raise DataError(
            f"no two atoms of any training frame are closer than model.backbone.cutoff = {train.cutoff:g} A",
            hint="raise the cutoff, or check data.units.length",
        )


def _check_data(config: TrainingConfig, splits: DataSplits) -> None:
    if not splits.val:
        raise ConfigError("data: no validation frames; give data.val or a validation share in data.split")
    unknown = sorted(set(splits.species) - set(config.model.species))
    if unknown:
        raise ConfigError(f"model.species: the data hold atomic numbers {unknown} that the model does not know")
    if config.loss.stress_weight > 0 and any(frame.stress is None for frame in splits.train):
        raise ConfigError("loss.stress_weight: training frames without stress; name data.keys.stress or set it to 0")


def _graphs(dataset: GraphDataset) -> Iterator[AtomicGraph]:
    return (dataset[i] for i in range(len(dataset)))


def _log_size(potential: Potential, splits: DataSplits, total: int) -> None:
    parameters = sum(p.numel() for p in potential.parameters())
    sizes = f"{len(splits.train)}/{len(splits.val)}/{len(splits.test)}"
    logger.info("%d parameters; %s training/validation/test frames; %d steps", parameters, sizes, total)
