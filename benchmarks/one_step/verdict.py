"""All starts together: ratios to the floor with intervals, limits, table and plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.one_step.comparison import MEASURES, OTHERS, StartResult
from mlff.support.files import replacing
from mlff.support.ticks import log_axis

Array = NDArray[np.float64]

#: Times the floor that jumps may be away from MD.
TARGET = 1.5
_RESAMPLES = 1000
_COLOURS = {"jumps": "tab:orange", "no-op": "0.4", "random walk": "0.65"}
_MARKERS = {"jumps": "o", "no-op": "x", "random walk": "+"}


def judge(results: list[StartResult], torsions: tuple[str, ...], seed: int) -> dict[str, Any]:
    """For each measure the medians of all starts, their medians, and whether the limits are kept.

    A ratio is that of medians over splits. Its interval draws starts with replacement (95 %); None with one start.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(results), size=(_RESAMPLES, len(results)))
    found: dict[str, Any] = {}
    for column, (name, unit) in enumerate(MEASURES.items()):
        floor = np.array([np.median(result.floor[:, column]) for result in results])
        medians = {o: np.array([np.median(r.others[o][:, column]) for r in results]) for o in OTHERS}
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = {o: np.where(floor > 0, values / floor, np.inf) for o, values in medians.items()}
        interval = np.quantile(np.median(ratios["jumps"][drawn], axis=1), [0.025, 0.975], method="nearest")
        ratio = float(np.median(ratios["jumps"]))
        beaten = {o: float((medians["jumps"] < medians[o]).mean()) for o in OTHERS[1:]}
        found[name] = {
            "unit": unit,
            "floor": float(np.median(floor)),
            **{o: float(np.median(values)) for o, values in medians.items()},
            "ratio": ratio,
            "ratio_interval": interval.tolist() if len(results) > 1 else None,
            "starts_within_the_target": float((ratios["jumps"] <= TARGET).mean()),
            "starts_better_than": beaten,
            "target": TARGET,
            "passed": ratio <= TARGET and all(np.median(medians["jumps"]) < np.median(medians[o]) for o in OTHERS[1:]),
            "starts": {"floor": floor.tolist(), **{o: values.tolist() for o, values in medians.items()}},
        }
    single = np.median(np.median([result.torsions for result in results], axis=1), axis=0)  # [1 + others, D]
    found["torsions"] = {
        name: {"floor": float(single[0, d]), "jumps": float(single[1, d])} for d, name in enumerate(torsions)
    }
    return found


def show(record: dict[str, Any], console: Console) -> None:
    """Print the table, a column for each measure."""
    measures = [record["measures"][name] for name in MEASURES]
    jumps = "a jump is" if record["jumps"] == 1 else f"{record['jumps']} jumps of"
    table = Table(title=f"{record['molecule']}: {record['starts']} starts, {jumps} {record['lag_ps']:g} ps")
    table.add_column("", no_wrap=True)
    for name, unit in MEASURES.items():
        table.add_column(f"{name} ({unit})", justify="right")

    def ratio(row: dict[str, Any]) -> str:
        interval = row["ratio_interval"]
        return f"{row['ratio']:.2f}" + ("" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]")

    table.add_row("floor: MD against MD", *(f"{row['floor']:.3g}" for row in measures))
    for other in OTHERS:
        table.add_row(f"{other} against MD", *(f"{row[other]:.3g}" for row in measures))
    table.add_row("jumps over floor", *map(ratio, measures))
    table.add_row(f"starts within {TARGET:g} floors", *(f"{row['starts_within_the_target']:.0%}" for row in measures))
    table.add_row("target", *("met" if row["passed"] else "MISSED" for row in measures))
    table.caption = (
        f"medians over starts; sets of {record['relaunches'] // 2}; target: at most {TARGET:g} floors, and closer than "
        "no-op and random walk"
    )
    console.print(table)
    if record["broken_jumps"]:
        console.print(f"{record['broken_jumps']} jumps hold what is no number; they count as far from any structure")


def draw(measures: dict[str, Any], results: list[StartResult], path: Path) -> None:
    """A panel for each measure, starts in the order of their floors."""
    figure = Figure(figsize=(11, 4.3), layout="constrained")
    axes = figure.subplots(1, len(MEASURES))
    for column, (axis, (name, unit)) in enumerate(zip(axes, MEASURES.items(), strict=True)):
        row = measures[name]
        order = np.argsort(row["starts"]["floor"])
        band = np.array([np.quantile(results[n].floor[:, column], [0.025, 0.975]) for n in order])
        places = np.arange(len(order))
        label = "floor: MD against MD, 95 % of splits"
        axis.fill_between(places, *band.T, color="tab:blue", alpha=0.25, lw=0, label=label)
        axis.plot(places, np.array(row["starts"]["floor"])[order], color="tab:blue", label="floor: median")
        for other in OTHERS:
            values = np.array(row["starts"][other])[order]
            axis.plot(places, values, _MARKERS[other], color=_COLOURS[other], ms=5, label=f"{other} against MD, median")
        log_axis(axis, "y")
        axis.set_xlabel("start, in the order of the floor")
        axis.set_ylabel(f"{name} ({unit})")
        axis.set_title(f"jumps / floor: {row['ratio']:.2f}", fontsize=10)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    # An own canvas, so that no global matplotlib back end is chosen.
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=110)
