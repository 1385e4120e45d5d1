"""A jump model on the molecules of a data set that training never saw.

    python -m benchmarks.held_out runs/peptides --model equijump-peptides --lag 10 -o runs/held_out

Of every held-out molecule, rollouts begin where the dynamics began and are as long: trajectories far shorter than the
slowest process remember their starts, and both must remember the same. A rollout, its analysis (`equijump analyze`)
and a row of `held_out.json` each; medians over molecules are compared with the limits of the analysis. `processes` has
the factors of single timescales, those that the dynamics resolve; `outside` is the share of frames outside the states
that the dynamics lead to and back from, of which no timescale tells.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import mdtraj
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress

import mlff
from benchmarks.command_line import add_jump_model, complain, new_parser, write_record
from benchmarks.jump_molecule import chosen_lag
from benchmarks.speed.timing import machine
from md_drivers.jumps import RolloutSettings, rollout
from mlff.analysis import AnalysisSettings, Ensemble, analyse, read_reference, read_trajectories, write_report
from mlff.equijump.artifact import LoadedJump
from mlff.support.files import write_figure
from mlff.support.versions import installed_versions
from mlff.trajectories import read_record

RESULT, PLOT = "held_out.json", "held_out.png"
# Names that the analysis gives its limits, and the keys here.
_TARGETS = {
    "divergence of TIC1": "tic1",
    "implied timescales": "timescales",
    "divergence of φ and ψ over the noise floor": "torsions_over_floor",
    "valid frames": "valid",
    "bonds > 0.1 Å from the mean": "bond_outliers",
}
_LIMITED = ("tic1", "timescales")
_PROCESSES = ("t1", "t2", "t3")


def benchmark(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The whole record; also draws the plot.

    Raises:
        ValueError: an input that cannot be used.
    """
    model = mlff.load(options.model, device=options.device)
    lag = chosen_lag(model, options.lag)
    folders = [path.parent for path in sorted(options.data.glob("*/system.json")) if read_record(path).split == "test"]
    if not folders:
        raise ValueError(f"{options.data}: no molecule there is held out (split: test in its system.json)")
    with Progress(console=console) as progress:
        rows = [
            _row(read_reference(folder, None), model, lag, options)
            for folder in progress.track(folders, description="molecules")
        ]
    draw(rows, options.output / PLOT)
    return {
        "machine": machine(),
        "versions": installed_versions(["mlff-equijump", "torch", "mdtraj", "deeptime"]),
        "model": {"name": model.name, "sha256": model.sha256},
        "lag_ps": lag,
        "latent_steps": options.latent_steps or model.metadata.steps,
        "seed": options.seed,
        "replicas_per_start": options.replicas_per_start,
        "limits_of_medians": {key: rows[0][key]["limit"] for key in _LIMITED},
        "medians": {key: _median([row[key]["value"] for row in rows]) for key in _TARGETS.values()},
        "medians_of_processes": {
            name: _median(values)
            for name in _PROCESSES
            if (values := [row["processes"][name]["value"] for row in rows if name in row["processes"]])
        },
        "rows": rows,
    }


def _row(dynamics: Ensemble, model: LoadedJump, lag: float, options: argparse.Namespace) -> dict[str, Any]:
    """Rollout and analysis of one molecule."""
    output = options.output / dynamics.name
    output.mkdir(parents=True, exist_ok=True)
    starts = mdtraj.join([trajectory[0] for trajectory in dynamics.trajectories])
    starts.save_pdb(output / "starts.pdb")
    settings = RolloutSettings(
        lag=lag,
        replicas=options.replicas_per_start * len(starts),
        seed=options.seed,
        latent_steps=options.latent_steps,
    )
    steps = int((min(dynamics.lengths) - 1) * dynamics.interval / lag + 1e-6)
    result = rollout(output / "starts.pdb", model, output / "rollout", steps=steps, settings=settings)
    made = read_trajectories(result.folder, None, "generated")
    content = write_report(analyse(dynamics, made, AnalysisSettings(targets="held-out")), output / "report")
    found: dict[str, Any] = {
        "molecule": dynamics.name,
        "simulated_ns": 1e-3 * settings.replicas * result.time,
        "failed": len(result.failed),
    }
    for target in content["targets"]:
        for name, key in _TARGETS.items():
            if target["name"].startswith(name):
                found[key] = {
                    "name": target["name"],
                    "value": target["value"],
                    "dynamics": target["reference"],
                    "limit": target["limit"],
                }
    found["processes"] = {
        metric["name"]: {"value": metric["value"], "dynamics": metric["floor"]["median"]}
        for metric in content["metrics"]
        if metric["name"] in _PROCESSES[: content["lags"]["resolved_timescales"]]
    }
    found["outside"] = content["lags"]["outside"]
    return found


def _median(values: Sequence[float | None]) -> float | None:
    """Of figures whose limits are above them; what could not be measured counts as infinite."""
    found = median(math.inf if value is None else value for value in values)
    return found if math.isfinite(found) else None


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """TIC1, timescales and valid frames of every molecule, beside what dynamics differ from themselves."""
    names = [row["molecule"].removeprefix("ACE-").removesuffix("-NME") for row in rows]
    panels = (("tic1", "JS divergence of TIC1 (nats)"), ("timescales", "timescales, factor"), ("valid", "valid frames"))
    figure = Figure(figsize=(10, 0.4 * len(rows) + 1.7), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for axis, (key, title) in zip(axes, panels, strict=True):
        for field, color, edge, words in (
            ("dynamics", "0.6", 0.94, "MD against itself"),
            ("jumps", "C0", 0.97, "jumps against MD"),
        ):
            values = [math.nan if value is None else value for value in (_drawn(row, key, field) for row in rows)]
            axis.plot(values, names, "o", color=color, label=words)
            # A process that was not made has no factor: it stands at the edge.
            missing = [name for name, value in zip(names, values, strict=True) if math.isnan(value)]
            label = f"{words}: no factor, process not made" if missing else None
            edges = [edge] * len(missing)
            axis.plot(edges, missing, ">", color=color, transform=axis.get_yaxis_transform(), label=label)
        if key in _LIMITED:
            axis.axvline(rows[0][key]["limit"], color="C3", linewidth=1, label="limit of the median")
        axis.set_xlabel(title)
        axis.grid(axis="y", alpha=0.3)
    axes[1].set_xscale("log", base=2)
    axes[1].xaxis.set_major_formatter("{x:g}")
    axes[0].invert_yaxis()
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    write_figure(path, figure)


def _drawn(row: dict[str, Any], key: str, field: str) -> float | None:
    """A figure of the jumps or of the dynamics; of their timescales each its own worst one."""
    if key != "timescales" or field == "jumps":
        return row[key]["value" if field == "jumps" else field]
    factors = [process["dynamics"] for process in row["processes"].values()]
    return None if not factors or None in factors else max(factors)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser("held_out", __doc__)
    add_jump_model(parser)
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="data set of equijump generate-data with held-out molecules")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help=f"for {RESULT}, {PLOT}, rollouts, reports")
    add("--replicas-per-start", type=int, default=2)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, whatever the figures; 2 wrong input."""
    options, console = options_of(arguments), Console(stderr=True)
    try:
        record = benchmark(options, console)
        write_record(options.output / RESULT, record)
    except (ValueError, OSError) as error:
        return complain(error)
    for key, value in record["medians"].items():
        console.print(f"median {key}: {'not measured' if value is None else f'{value:.4g}'}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
