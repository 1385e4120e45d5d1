"""A training run from configuration to report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
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
from mlff.support.signals import StopRequest
from mlff.training.batches import EpochBatches, StepSampler
from mlff.training.callbacks import RunKeeper
from mlff.training.config import ConfigError, TrainingConfig, dump_config
from mlff.training.folder import RunFolder
from mlff.training.keeping import OnStep
from mlff.training.module import PotentialModule
from mlff.training.padding import BatchSize
from mlff.training.running import MAY_CHANGE, build_trainer, check_output, check_same_run, fit
from mlff.training.start import add_dens, build_potential, refit_reference_energies, set_start
from mlff.training.state import InitialWeights, load_state
from mlff.training.summary import write_report

logger = logging.getLogger(__name__)

# A resumed run may change these; everything else decides what the next step computes.
_MAY_CHANGE = MAY_CHANGE | {"init_from", "reference_energies"}


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
    check_output(folder)
    state = load_state(folder.state) if resume and folder.state.exists() else None
    if state is None and folder.state.exists() and not resume:
        raise ConfigError(f"{folder.root} already holds a run: resume it, or choose another output folder")
    if state is not None:
        check_same_run(config, folder, _MAY_CHANGE)
    trainer = build_trainer(config, folder, 0 if state is None else state["step"])
    splits = load_splits(config.data)
    _check_data(config, splits)
    dtype = getattr(torch, config.dtype)
    model = config.model
    limits, strict = (model.cutoff, model.max_neighbors), model.max_neighbors_strict
    parts = {
        name: GraphDataset(frames, *limits, config.data.cache, max_neighbors_strict=strict, dtype=dtype)
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
            fit(trainer, module, loader, keeper)
    report = write_report(config, folder, parts["test"], keeper, module, trainer) if trainer.is_global_zero else None
    return RunResult(folder, report)


def _compiled_size(config: TrainingConfig, train: GraphDataset) -> BatchSize:
    atoms = [len(frame.atoms) for frame in train.frames]
    return BatchSize.typical(atoms, train.edge_counts.tolist(), config.batch_size)


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
