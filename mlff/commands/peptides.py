"""``mlff data peptides``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.support.console import command, error_console, new_app, progress, this_command
from mlff.support.errors import InputError
from mlff.support.files import check_exists
from mlff.support.versions import git_commit

if TYPE_CHECKING:
    from mlff.sampling.peptides import PeptideDataConfig


data_app = new_app("Make training data with open tools.")


@data_app.command()
def peptides(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write, or to continue.")],
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML; every field has a default, see docs/peptides.md.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="At least so many frames; overrides `frames`.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread each.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="A few peptides, about a minute: to try the command.")] = False,
) -> None:
    """Capped peptides with GFN2-xTB energies and forces: built from sequence, sampled with OpenMM, labelled by tblite.

    Writes train, val and test files, energies of isolated atoms, provenance, a figure and a README. Needs the extra
    packages of `pip install 'mlff-equijump[peptides]'`.

    Exit status: 0 done, 1 failed, 2 wrong settings, missing packages or a file that cannot be written, 130 stopped by
    Ctrl-C, 143 terminated (both continue with the same command).

    Examples:

        mlff data peptides -o peptides --workers 2

        mlff data peptides -o trial --quick
    """
    run_peptides(output, config, frames, workers, quick)


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
