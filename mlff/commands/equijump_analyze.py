"""``equijump analyze``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from mlff.analysis import AnalysisSettings


def analyze(
    reference: Annotated[
        Path,
        typer.Argument(metavar="REFERENCE", help="Molecular dynamics: data set, one of its systems, or a folder."),
    ],
    generated: Annotated[Path, typer.Argument(metavar="GENERATED", help="Folder with a topology and trajectories.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the report.")],
    reference_interval: Annotated[
        float | None, typer.Option(help="ps between frames of REFERENCE; default: what its files say.")
    ] = None,
    generated_interval: Annotated[
        float | None, typer.Option(help="ps between frames of GENERATED, the lag; default: what its files say.")
    ] = None,
    bars: Annotated[
        Literal["seen", "held-out"] | None,
        typer.Option(help="Limits for a molecule seen in training, or not; default: by the data set, else seen."),
    ] = None,
    compare: Annotated[
        Literal["test", "all"], typer.Option(help="Compare with the test trajectories of a data set, or with all.")
    ] = "test",
    lags: Annotated[str, typer.Option(metavar="PS,PS,...", help="Lags of the Markov models; default: chosen.")] = "",
    tica_lag: Annotated[float | None, typer.Option(help="ps; default: the first lag of at least 10 ps.")] = None,
    markov_lag: Annotated[
        float | None, typer.Option(help="ps, at which kinetics are compared; default: where timescales are constant.")
    ] = None,
    clusters: Annotated[int, typer.Option(min=2, help="Clusters of the Markov models.")] = 75,
    splits: Annotated[int, typer.Option(min=20, help="Random halves of the reference.")] = 40,
    bootstrap: Annotated[int, typer.Option(min=20, help="Bootstrap resamples.")] = 100,
    controls: Annotated[bool, typer.Option(help="Measure the controls: no-op, shuffled MD, random walk.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of all random choices.")] = 0,
) -> None:
    """Compare generated trajectories with molecular dynamics, beside what MD differs from itself.

    Writes report.json, figures and one page, index.html: torsions, slow coordinates, Markov models, contacts, size,
    geometry and validity of every frame. No frame is left out. Trajectories are files that MDTraj reads beside a
    `topology.pdb`; a data set of `equijump generate-data` also says which trajectories are for training (coordinates
    are fitted to these) and which for testing (these are compared).

    Exit status: 0 done, whatever the result; 1 a file cannot be written, 2 wrong input, 130 stopped by Ctrl-C.

    Examples:

        equijump analyze ala2 rollout -o report

        equijump analyze data/peptides/A-K rollouts/A-K -o report --bars held-out

        equijump analyze md rollout -o report --reference-interval 1 --generated-interval 10
    """
    from pydantic import ValidationError

    from mlff.support.console import WRONG_INPUT, report_error

    try:
        _require_packages()
        from mlff.analysis import AnalysisSettings
        from mlff.trajectories.format import validation_message

        settings = AnalysisSettings(
            bars=bars,
            compare=compare,
            lags=_numbers(lags),
            tica_lag=tica_lag,
            markov_lag=markov_lag,
            clusters=clusters,
            splits=splits,
            bootstrap=bootstrap,
            controls=controls,
            seed=seed,
        )
    except ValidationError as error:
        report_error(ValueError(validation_message(error, "options")))
        raise typer.Exit(WRONG_INPUT) from error
    except ValueError as error:
        report_error(error)
        raise typer.Exit(WRONG_INPUT) from error
    raise typer.Exit(_run(reference, generated, output, reference_interval, generated_interval, settings))


def _run(
    reference: Path,
    generated: Path,
    output: Path,
    reference_interval: float | None,
    generated_interval: float | None,
    settings: AnalysisSettings,
) -> int:
    from mlff.analysis import AnalysisError, analyse, read_reference, read_trajectories, write_report
    from mlff.support.console import FAILED, WRONG_INPUT, error_console, report_error

    try:
        with _progress() as on_step:
            made = read_trajectories(generated, generated_interval, "generated")
            real = read_reference(reference, reference_interval, made)
            analysis = analyse(real, made, settings, on_step)
            on_step("writing the report", 1, 1)
            content = write_report(analysis, output)
    except AnalysisError as error:
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


def _require_packages() -> None:
    missing = [name for name in ("mdtraj", "deeptime") if find_spec(name) is None]
    if missing:
        raise ValueError(f"{' and '.join(missing)} is not installed; run: pip install 'mlff-equijump[equijump]'")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"--lags {text!r}: expected numbers in ps, separated by commas") from error


def _summary(content: dict[str, Any], output: Path) -> str:
    required = [bar for bar in content["bars"] if bar["required"]]
    lines = [f"{sum(bar['passed'] for bar in required)} of {len(required)} required limits kept"]
    for bar in required:
        value, limit = ("–" if bar[key] is None else f"{bar[key]:.4g}" for key in ("value", "limit"))
        lines.append(f"  {'kept  ' if bar['passed'] else 'MISSED'} {bar['name']}: {value} ({bar['sense']} {limit})")
    return "\n".join([*lines, f"report in {output / 'index.html'}"])


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar over the parts of the analysis; nothing where standard error is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from mlff.support.console import error_console

    if not error_console.is_terminal:
        yield lambda *_: None
        return
    columns = (BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=error_console, transient=True) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda text, done, total: progress.update(task, completed=done, total=total, description=text)
