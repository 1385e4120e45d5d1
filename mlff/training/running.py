"""What trainings share around the loop of the trainer library: set-up, signals, checks of the run folder."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Set
from typing import Any, Literal, Protocol

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from torch.utils.data import DataLoader

from mlff.training.config import ConfigError, RunConfig, read_config
from mlff.training.folder import RunFolder
from mlff.training.keeping import Keeper, TrainingInterrupted
from mlff.training.stepping import SteppedModule

#: Settings that a resumed run of any kind may change.
MAY_CHANGE = frozenset(
    {"max_minutes", "validate_every", "save_every_minutes", "log_every", "threads", "accelerator", "output"}
)
# The data are in memory, so the loader needs no workers; the averaged copy is in eval mode on purpose; the rest are
# names that torch deprecates and Lightning still uses.
_KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*module\\(s\\) in eval mode.*",
    ".*LeafSpec.*",
    ".*broadcast_buffers.*",
    ".*find_unused_parameters=True was specified.*",
)


class DeviceSettings(Protocol):
    """What the trainer reads of a configuration."""

    @property
    def accelerator(self) -> str: ...

    @property
    def devices(self) -> int | Literal["auto"]: ...

    @property
    def num_nodes(self) -> int: ...


def build_trainer(config: DeviceSettings, folder: RunFolder, step: int) -> lightning.Trainer:
    """The trainer of a run that starts or goes on at a step.

    Raises:
        ConfigError: the devices are not there.
    """
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


def fit(trainer: lightning.Trainer, module: SteppedModule, loader: DataLoader[Any], keeper: Keeper) -> None:
    """Take the steps; raises TrainingInterrupted, with the state saved, after a signal."""
    try:
        with warnings.catch_warnings():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            trainer.fit(module, loader)
    except SIGTERMException as error:
        # The signal came between the last look at it and the end of the step.
        keeper.save(trainer, module)
        raise TrainingInterrupted(signal.SIGTERM) from error


def check_output(folder: RunFolder) -> None:
    """Before the data are read: can the run folder be written?"""
    existing = next(path for path in (folder.root, *folder.root.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"output: {folder.root} cannot be a run folder, because {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"output: {folder.root} cannot be written (no permission in {existing})")


def check_same_run(config: RunConfig, folder: RunFolder, may_change: Set[str]) -> None:
    """Raise ConfigError if the run in a folder differs in what decides its next step."""
    before = read_config(type(config), folder.config)
    old, new = _decisive(before, may_change), _decisive(config, may_change)
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        raise ConfigError(
            f"{folder.root}: cannot resume, because these parts of the configuration changed: {', '.join(changed)}; "
            "to start from its weights with other settings, use init_from and a new output folder"
        )


def _decisive(config: RunConfig, may_change: Set[str]) -> dict[str, Any]:
    """What a resumed run must not change."""
    content = config.model_dump(exclude=set(may_change))
    content["data"].pop("cache", None)
    return content
