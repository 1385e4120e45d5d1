"""``mlff data peptides``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.sampling.peptides import (
    GenerationStopped,
    PeptideDataConfig,
    PeptideError,
    generate,
    load_config,
    quick_config,
)
from mlff.sampling.peptides.generate import Progress as OnProgress
from mlff.support.console import FAILED, WRONG_INPUT, error_console, report_error, set_up_logging
from mlff.support.signals import StopRequest
from mlff.training.environment import git_commit


def run_peptides(output: Path, config_file: Path | None, frames: int | None, workers: int, quick: bool) -> int:
    """Make or continue a peptide data set and print a summary; returns the exit status."""
    set_up_logging()
    stop = StopRequest()
    try:
        config = _settings(config_file, frames, quick)
        with stop.listening(), _progress() as on_progress:
            content = generate(
                config,
                output,
                workers=workers,
                on_progress=on_progress,
                should_stop=lambda: stop.signum != 0,
                details={"commit": git_commit()},
            )
    except GenerationStopped:
        error_console.print(f"stopped; the same command continues in {output}", markup=False)
        return 128 + stop.signum
    except PeptideError as error:
        report_error(error)
        return WRONG_INPUT
    except OSError as error:
        report_error(error)
        return FAILED
    except KeyboardInterrupt:
        error_console.print("stopped")
        return 128 + signal.SIGINT
    counts = ", ".join(f"{number} {part}" for part, number in content["frames"].items())
    left_out = content["left_out"]
    error_console.print(
        f"frames: {counts}; left out: {left_out['not_converged']} not converged, {left_out['above_max_force']} above "
        f"max_force; files in {output}",
        markup=False,
    )
    return 0


def _settings(config_file: Path | None, frames: int | None, quick: bool) -> PeptideDataConfig:
    if quick and config_file is not None:
        raise PeptideError("--quick and --config exclude each other")
    default = quick_config() if quick else PeptideDataConfig()
    config = default if config_file is None else load_config(config_file)
    return config if frames is None else config.model_copy(update={"frames": frames})


@contextmanager
def _progress() -> Iterator[OnProgress | None]:
    """A bar over the frames; None where standard error is no terminal, and the log lines are enough."""
    if not error_console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("frames"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=error_console, transient=True) as progress:
        task = progress.add_task("frames", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
