"""``equijump generate-data``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

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
    hours: Annotated[float, typer.Option(min=0, help="Begin nothing new after so many hours...")] = 0.0,
    minutes: Annotated[float, typer.Option(min=0, help="...and minutes; default: no limit.")] = 0.0,
) -> None:
    """Trajectories of capped peptides or proteins: OpenMM, AMBER14, implicit water (GBn2), heavy atoms as XTC.

    Without CONFIG and preset an existing folder is continued with its own settings. The folder can be read, for example
    by a training, while it grows: it is brought up to date every ten minutes and when the command ends. Needs the
    packages of `pip install 'mlff-equijump[equijump]'`.

    Exit status: 0 done, or the time is over; 1 a file cannot be written, 2 wrong settings or missing packages, 130
    stopped by Ctrl-C, 143 terminated (both continue with the same command).

    Examples:

        equijump generate-data --preset ala2 -o ala2 --workers 2

        equijump generate-data --preset cln025 --pdb 5awl.pdb -o cln025 --platform CUDA --hours 12

        equijump generate-data peptides.yaml -o peptides

        equijump generate-data -o ala2 --length 200
    """
    overrides = {"length": length, "platform": platform}
    raise typer.Exit(_run(config, output, preset, pdb, overrides, workers, 3600 * hours + 60 * minutes))


def _run(
    config_file: Path | None,
    output: Path,
    preset: str | None,
    pdb: Path | None,
    overrides: dict[str, Any],
    workers: int,
    seconds: float,
) -> int:
    from mlff.proteins.errors import StructureError
    from mlff.sampling.peptides import GenerationStopped, PeptideError
    from mlff.sampling.trajectories import DataError, generate
    from mlff.support.console import FAILED, WRONG_INPUT, error_console, report_error, set_up_logging
    from mlff.support.signals import StopRequest
    from mlff.training.environment import git_commit

    set_up_logging()
    stop = StopRequest()
    try:
        config = _settings(config_file, output, preset, pdb, overrides)
        with stop.listening(), _progress() as on_progress:
            content = generate(
                config,
                output,
                workers=workers,
                time_limit=seconds or None,
                on_progress=on_progress,
                should_stop=lambda: stop.signum != 0,
                details={"commit": git_commit()},
            )
    except GenerationStopped:
        error_console.print(f"stopped; the same command continues in {output}", markup=False)
        return 128 + stop.signum
    except (DataError, PeptideError, StructureError) as error:
        report_error(error)
        return WRONG_INPUT
    except OSError as error:
        report_error(error)
        return FAILED
    except KeyboardInterrupt:
        error_console.print("stopped")
        return 128 + signal.SIGINT
    error_console.print(_summary(content, output), markup=False)
    return 0


def _settings(
    config_file: Path | None, output: Path, preset: str | None, pdb: Path | None, overrides: dict[str, Any]
) -> GenerationConfig | None:
    """The settings asked for; None: those of the folder."""
    from mlff.sampling.trajectories import DataError, GenerationConfig, load_config, parse_config
    from mlff.sampling.trajectories import preset as preset_of

    if config_file is not None and preset is not None:
        raise DataError("CONFIG and --preset exclude each other")
    if pdb is not None and preset is None:
        raise DataError("--pdb belongs to --preset cln025; in a CONFIG, write `systems: [{pdb: FILE}]`")
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
    state = "done" if content["complete"] else "not complete yet, the same command continues"
    return (
        f"{state}: {content['simulated_ns']:g} ns, frames: {counts}"
        + (f"; {cut} trajectories were cut" if cut else "")
        + f"; files in {output}"
    )


@contextmanager
def _progress() -> Iterator[Callable[[float, float], None]]:
    """A bar over the nanoseconds; a line every ten minutes where standard error is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from mlff.support.console import error_console

    begin: list[tuple[float, float]] = []

    def text(done: float, total: float) -> str:
        now = time.monotonic()
        if not begin:
            begin.append((now, done))
        seconds = now - begin[0][0]
        rate = _SECONDS_PER_DAY * (done - begin[0][1]) / seconds if seconds > 0 else 0.0
        return f"{done:.4g} of {total:g} ns, {rate:.0f} ns/day"

    if not error_console.is_terminal:
        spoken = [time.monotonic()]

        def speak(done: float, total: float) -> None:
            words = text(done, total)
            if time.monotonic() - spoken[0] > _LINE_EVERY:
                spoken[0] = time.monotonic()
                error_console.print(words, markup=False)

        yield speak
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total, description=text(done, total))
