"""``equijump generate-data``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlff.support.console import command, error_console, progress, this_command
from mlff.support.errors import InputError
from mlff.support.files import check_exists
from mlff.support.versions import git_commit

if TYPE_CHECKING:
    from mlff.sampling.trajectories import GenerationConfig

_SECONDS_PER_DAY = 86400.0
_LINE_EVERY = 600.0  # s


def generate_data(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write, or to continue.")],
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="Settings; every field has a default.")
    ] = None,
    preset: Annotated[
        Literal["ala2", "peptides", "cln025"] | None,
        typer.Option(help="Settings by name: alanine dipeptide, 24 capped peptides, or CLN025 from --pdb."),
    ] = None,
    pdb: Annotated[Path | None, typer.Option(metavar="FILE", help="Structure for the preset cln025.")] = None,
    length: Annotated[
        float | None, typer.Option(help="ns of each trajectory; overrides `length`, and extends an existing folder.")
    ] = None,
    platform: Annotated[
        Literal["CPU", "CUDA", "OpenCL", "Reference", "torch"] | None,
        typer.Option(help="Of OpenMM, or torch: compiled PyTorch on the CPU; overrides `platform`."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread each.")] = 1,
    hours: Annotated[float, typer.Option(min=0, help="Begin nothing new after so many hours; 0: no limit.")] = 0.0,
    minutes: Annotated[float, typer.Option(min=0, help="Added to --hours.")] = 0.0,
) -> None:
    """Trajectories of capped peptides or proteins: OpenMM, AMBER14, implicit water (GBn2), heavy atoms as XTC.

    Without CONFIG and preset an existing folder is continued with its own settings. The folder can be read, for example
    by a training, while it grows: it is brought up to date every ten minutes and when the command ends. Needs the
    packages of `pip install 'mlff-equijump[equijump]'`.

    Exit status: 0 done, or the time is over; 1 failed, 2 wrong settings, missing packages or a file that cannot be
    written, 130 stopped by Ctrl-C, 143 terminated (both continue with the same command).

    Examples:

        equijump generate-data --preset ala2 -o ala2 --workers 2

        equijump generate-data --preset cln025 --pdb 5awl.pdb -o cln025 --platform CUDA --hours 12

        equijump generate-data peptides.yaml -o peptides

        equijump generate-data -o ala2 --length 200
    """
    with command(this_command()) as stop:
        if config is not None and preset is not None:
            raise InputError("CONFIG and --preset exclude each other")
        if pdb is not None and preset is None:
            raise InputError("--pdb belongs to --preset cln025; in a CONFIG, write `systems: [{pdb: FILE}]`")
        check_exists(config)
        settings = _settings(config, output, preset, pdb, {"length": length, "platform": platform})
        from mlff.sampling.trajectories import generate

        with _progress() as on_progress:
            content = generate(
                settings,
                output,
                workers=workers,
                time_limit=3600 * hours + 60 * minutes or None,
                on_progress=on_progress,
                should_stop=stop,
                details={"commit": git_commit()},
            )
        error_console.print(_summary(content, output), markup=False)


def _settings(
    config_file: Path | None, output: Path, preset: str | None, pdb: Path | None, overrides: dict[str, Any]
) -> GenerationConfig:
    """The settings asked for; without any those of the folder."""
    from mlff.sampling.trajectories import GenerationConfig, load_config, parse_config
    from mlff.sampling.trajectories import preset as preset_of

    kept = output / "config.yaml"
    if config_file is not None:
        config = load_config(config_file)
    elif preset is not None:
        config = preset_of(preset, pdb)  # type: ignore[arg-type]  # typer has checked it
    elif kept.exists():
        config = load_config(kept)
    else:
        config = GenerationConfig()
    changed = {name: value for name, value in overrides.items() if value is not None}
    # PDB files have been found already and are no part of what is checked again.
    parse_config({**config.model_dump(mode="json"), **changed}, "command line")
    return config.model_copy(update=changed)


def _summary(content: dict[str, Any], output: Path) -> str:
    systems = content["systems"]
    counts = ", ".join(f"{sum(s['frames'][split] for s in systems)} {split}" for split in ("train", "val", "test"))
    cut = sum(system["cut"] for system in systems)
    state = "done" if content["complete"] else "not complete yet"
    return (
        f"{state}: {content['simulated_ns']:g} ns, frames: {counts}"
        + (f"; {cut} trajectories were cut" if cut else "")
        + f"; files in {output}"
        + ("" if content["complete"] else f"; continue with: {this_command()}")
    )


@contextmanager
def _progress() -> Iterator[Callable[[float, float], None]]:
    """A bar over the nanoseconds; a line every ten minutes where standard error is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(), TimeRemainingColumn())
    begun, first, spoken = time.monotonic(), None, time.monotonic()
    with progress(*columns) as update:

        def show(done: float, total: float) -> None:
            nonlocal begun, first, spoken
            now = time.monotonic()
            if first is None:
                begun, first = now, done
            speed = f"{_SECONDS_PER_DAY * (done - first) / (now - begun):.0f} ns/day" if done > first else "starting"
            text = f"{done:.4g} of {total:g} ns, {speed}"
            if update is not None:
                update(completed=done, total=total, description=text)
            elif now - spoken > _LINE_EVERY:
                spoken = now
                error_console.print(text, markup=False)

        yield show
