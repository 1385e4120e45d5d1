"""``mlff data peptides``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.support.console import command, error_console, progress, this_command
from mlff.support.errors import InputError
from mlff.support.files import check_exists
from mlff.support.versions import git_commit

if TYPE_CHECKING:
    from mlff.sampling.peptides import PeptideDataConfig


def run_peptides(output: Path, config_file: Path | None, frames: int | None, workers: int, quick: bool) -> None:
    """Make or continue a peptide data set and print a summary."""
    with command(this_command()) as stop:
        if quick and config_file is not None:
            raise InputError("--quick and --config exclude each other")
        check_exists(config_file)
        from mlff.sampling.peptides import generate

        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with progress(TextColumn("frames"), *columns) as update:
            content = generate(
                _settings(config_file, frames, quick),
                output,
                workers=workers,
                on_progress=update and (lambda done, total: update(completed=done, total=total)),
                should_stop=stop,
                details={"commit": git_commit()},
            )
        error_console.print(_summary(content, output), markup=False)


def _settings(config_file: Path | None, frames: int | None, quick: bool) -> PeptideDataConfig:
    from mlff.sampling.peptides import PeptideDataConfig, load_config, quick_config

    default = quick_config() if quick else PeptideDataConfig()
    config = default if config_file is None else load_config(config_file)
    return config if frames is None else config.model_copy(update={"frames": frames})


def _summary(content: dict[str, Any], output: Path) -> str:
    counts = ", ".join(f"{number} {part}" for part, number in content["frames"].items())
    left_out = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in content["left_out"].items())
    return f"frames: {counts}; left out: {left_out}; files in {output}"
