"""``equijump analyze``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from mlff.support.console import command, error_console, progress
from mlff.support.errors import InputError
from mlff.support.files import check_exists
from mlff.support.packages import require_packages


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
    targets: Annotated[
        Literal["seen", "held-out"] | None,
        typer.Option(
            "--targets", "--bars", help="For a molecule seen in training, or not; default: by the data set, else seen."
        ),
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
    splits: Annotated[int, typer.Option(min=20, help="Split halves of the reference.")] = 40,
    bootstrap: Annotated[int, typer.Option(min=20, help="Bootstrap resamples.")] = 100,
    controls: Annotated[bool, typer.Option(help="Measure the controls: no-op, shuffled MD, random walk.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of all random choices.")] = 0,
) -> None:
    """Compare generated trajectories with molecular dynamics (MD), against the noise floor of MD.

    Writes report.json, plots and one page, index.html: torsions, slow coordinates, Markov models, contacts, size,
    geometry and validity of every frame. No frame is left out. Trajectories are files that MDTraj reads next to a
    `topology.pdb`; a data set of `equijump generate-data` also says which trajectories are for training (coordinates
    are fitted to these) and which for testing (these are compared).

    Exit status: 0 done, whatever the result; 2 wrong input or a file that cannot be written, 130 stopped by Ctrl-C.

    Examples:

        equijump analyze ala2 rollout -o report

        equijump analyze data/peptides/A-K rollouts/A-K -o report --targets held-out

        equijump analyze md rollout -o report --reference-interval 1 --generated-interval 10
    """
    with command():
        check_exists(reference, generated)
        given = {
            "targets": targets,
            "compare": compare,
            "lags": _numbers(lags),
            "tica_lag": tica_lag,
            "markov_lag": markov_lag,
            "clusters": clusters,
            "splits": splits,
            "bootstrap": bootstrap,
            "controls": controls,
            "seed": seed,
        }
        require_packages("equijump", "mdtraj", "deeptime")
        from mlff.analysis import AnalysisSettings, analyse, read_reference, read_trajectories, write_report
        from mlff.support.settings import validated

        settings = validated(AnalysisSettings, given, "options")
        with progress(BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}")) as update:

            def on_step(text: str, done: int, total: int) -> None:
                if update is not None:
                    update(completed=done, total=total, description=text)

            on_step("reading", 0, 1)
            made = read_trajectories(generated, generated_interval, "generated")
            analysis = analyse(read_reference(reference, reference_interval, made), made, settings, on_step)
            on_step("writing the report", 1, 1)
            content = write_report(analysis, output)
        error_console.print(_summary(content, output), markup=False)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"--lags {text!r}: expected numbers in ps, separated by commas") from error


def _summary(content: dict[str, Any], output: Path) -> str:
    required = [target for target in content["targets"] if target["required"]]
    lines = [f"{sum(target['passed'] for target in required)} of {len(required)} required targets met"]
    for target in required:
        value, limit = ("–" if target[key] is None else f"{target[key]:.4g}" for key in ("value", "limit"))
        lines.append(f"  {target['verdict']:12} {target['name']}: {value} ({target['sense']} {limit})")
    return "\n".join([*lines, f"report in {output / 'index.html'}"])
