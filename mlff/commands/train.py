"""``mlff train``."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from mlff.artifacts import ArtifactError
from mlff.artifacts.names import pretrained as shipped
from mlff.commands.common import (
    FAILED,
    WRONG_INPUT,
    error_console,
    print_errors,
    read_initial_weights,
    report_error,
    set_up_logging,
)
from mlff.commands.progress import training_progress
from mlff.data import DataError
from mlff.training.config import ConfigError, TrainingConfig, load_config
from mlff.training.folder import RunFolder
from mlff.training.keeping import TrainingInterrupted
from mlff.training.process import set_up_process
from mlff.training.run import RunResult, train
from mlff.training.state import StateError
from mlff.training.stepping import TrainingError


def run_train(source: Path, resume: bool, output: Path | None, overrides: Sequence[str]) -> int:
    """Train and print a summary; returns the exit status."""
    set_up_logging()
    try:
        config = _configuration(source, resume, output, overrides)
        set_up_process(config.threads)
        starts = not (resume and RunFolder(config.output).state.exists())
        initial = read_initial_weights(config.init_from) if config.init_from is not None and starts else None
        with training_progress(error_console) as on_step:
            result = train(config, resume=resume, initial=initial, on_step=on_step)
    except (ConfigError, DataError, StateError, ArtifactError, OSError) as error:
        report_error(error)
        return WRONG_INPUT
    except TrainingError as error:
        report_error(error)
        return FAILED
    except TrainingInterrupted as error:
        error_console.print(f"stopped; continue with: mlff train --resume {config.output}", markup=False)
        return 128 + error.signum
    except KeyboardInterrupt:
        error_console.print("stopped")
        return 128 + signal.SIGINT
    _print_summary(result)
    return 0


def _configuration(source: Path, resume: bool, output: Path | None, overrides: Sequence[str]) -> TrainingConfig:
    if source.is_dir():
        if not resume:
            raise ConfigError(f"{source} is a folder: give a configuration file, or --resume to continue the run in it")
        config = load_config(RunFolder(source).config, overrides)
        output = source if output is None else output
    else:
        config = load_config(source, overrides)
    config = _with_shipped_start(config, (source if source.is_dir() else source.parent).resolve())
    return config if output is None else config.model_copy(update={"output": output.resolve()})


def _with_shipped_start(config: TrainingConfig, base: Path) -> TrainingConfig:
    """The configuration with a plain name in ``init_from`` resolved to the folder of the shipped model so called.

    ``load_config`` has made a path of the name; a file of that name beside the configuration comes first.
    """
    path = config.init_from
    if path is None or path.parent != base or path.exists() or path.name not in shipped():
        return config
    return config.model_copy(update={"init_from": shipped()[path.name].parent})


def _print_summary(result: RunResult) -> None:
    if result.report is None:
        return
    error_console.print(f"run folder: {result.folder.root}; errors on its test frames:", markup=False)
    print_errors(result.report.get("errors", {}))
