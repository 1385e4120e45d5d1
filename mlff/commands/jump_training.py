"""What ``equijump train`` does; apart from the command line, because torch and the trainer take seconds to import."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from mlff.commands.common import FAILED, WRONG_INPUT, error_console, report_error, set_up_logging
from mlff.commands.progress import training_progress
from mlff.proteins import StructureError
from mlff.training.config import ConfigError, read_config
from mlff.training.folder import RunFolder
from mlff.training.jumps import JumpTrainingConfig, train_jump
from mlff.training.keeping import TrainingInterrupted
from mlff.training.process import set_up_process
from mlff.training.state import StateError
from mlff.training.stepping import TrainingError
from mlff.trajectories import DataError


def train_jump_model(source: Path, resume: bool, output: Path | None, overrides: Sequence[str]) -> int:
    """Train; returns the exit status."""
    set_up_logging()
    try:
        config = _configuration(source, resume, output, overrides)
        set_up_process(config.threads)
        with training_progress(error_console) as on_step:
            result = train_jump(config, resume=resume, on_step=on_step)
    except (ConfigError, DataError, StructureError, StateError, OSError) as error:
        report_error(error)
        return WRONG_INPUT
    except TrainingError as error:
        report_error(error)
        return FAILED
    except TrainingInterrupted as error:
        error_console.print(f"stopped; continue with: equijump train --resume {config.output}", markup=False)
        return 128 + error.signum
    except KeyboardInterrupt:
        error_console.print("stopped")
        return 128 + signal.SIGINT
    if result.report is not None:
        best = result.report["best_validation"]
        error_console.print(
            f"run folder: {result.folder.root}; lowest validation loss {best['val_loss']:.4f} at step {best['step']}",
            markup=False,
        )
    return 0


def _configuration(source: Path, resume: bool, output: Path | None, overrides: Sequence[str]) -> JumpTrainingConfig:
    if source.is_dir():
        if not resume:
            raise ConfigError(f"{source} is a folder: give a configuration file, or --resume to continue the run in it")
        config = read_config(JumpTrainingConfig, RunFolder(source).config, overrides)
        return config.model_copy(update={"output": (source if output is None else output).resolve()})
    config = read_config(JumpTrainingConfig, source, overrides)
    return config if output is None else config.model_copy(update={"output": output.resolve()})
