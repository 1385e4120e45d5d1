"""The trainer library: how it is set up, and a fit that ends as the rest of this package expects."""

from __future__ import annotations

import signal
import warnings
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from torch.utils.data import DataLoader

from mlff.support.errors import ConfigError, Interrupted
from mlff.training.callbacks import Keeper, Stopped
from mlff.training.config import RunConfig
from mlff.training.lightning_module import SteppedModule
from mlff.training.run_folder import RunFolder

# The data are in memory, so the loader needs no workers; the averaged copy is in eval mode on purpose; the rest are
# names that torch deprecates and Lightning still uses.
_KNOWN_WARNINGS = (
    ".*does not have many workers.*",
    ".*module\\(s\\) in eval mode.*",
    ".*LeafSpec.*",
    ".*broadcast_buffers.*",
    ".*find_unused_parameters=True was specified.*",
)


def build_trainer(config: RunConfig, folder: RunFolder, step: int) -> lightning.Trainer:
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
            max_epochs=1,  # the loader passes through all epochs of the run, see TrainingRun.loader
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
    """Take the steps.

    Raises:
        Interrupted: a signal came, and the state has been saved; a second Ctrl-C does not wait for that.
    """
    try:
        with warnings.catch_warnings():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            trainer.fit(module, loader)
    except Stopped as stopped:
        raise Interrupted(stopped.signum) from None
    except SIGTERMException as error:
        # The signal came between the last look at it and the end of the step.
        keeper.save(trainer, module)
        raise Interrupted(signal.SIGTERM) from error
    except SystemExit as error:  # what Lightning makes of KeyboardInterrupt
        raise Interrupted(signal.SIGINT) from error
