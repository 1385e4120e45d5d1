"""Figures of a rollout, from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from md_drivers.common.figures import draw_ramachandran
from md_drivers.common.trajectory_files import read_table
from md_drivers.jumps.folder import RolloutFolder
from mlff.support.files import write_figure

_POINTS = 200  # in time
_MOST_LINES = 10


def draw_figures(folder: RolloutFolder) -> None:
    """Write ``rollout.png`` and, where there are backbone dihedrals, ``ramachandran.png``; nothing without frames."""
    table = read_table(folder.frames.table)
    if not len(table["step"]):
        return
    _draw_course(folder.path / "rollout.png", table)
    draw_ramachandran(folder.path / "ramachandran.png", folder.start.layout.topology, folder.frames.read())


def _draw_course(path: Path, table: dict[str, np.ndarray]) -> None:
    """Share of valid frames and radius of gyration against time."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    time = 1e-3 * table["time_ps"]
    edges = np.linspace(0.0, time.max(), min(_POINTS, int(table["step"].max())) + 1)
    place = np.clip(np.digitize(time, edges, right=True), 1, len(edges) - 1) - 1
    frames = np.bincount(place, minlength=len(edges) - 1)
    valid = np.bincount(place, weights=table["valid"], minlength=len(edges) - 1)
    with np.errstate(invalid="ignore"):
        upper.plot(edges[1:], 100 * valid / frames, color="black", linewidth=1)
    upper.set(ylabel="valid frames (%)", ylim=(-2, 102))
    upper.set_title(f"{100 * table['valid'].mean():.2f} % of {len(time)} frames are valid", fontsize=10)
    numbers = np.unique(table["replica"])
    for replica in numbers[:_MOST_LINES]:
        own = table["replica"] == replica
        stride = max(1, int(own.sum()) // (5 * _POINTS))
        gyration = table["gyration_A"][own][::stride]
        lower.plot(time[own][::stride], gyration, linewidth=0.5, alpha=0.7, label=f"{replica:.0f}")
    lower.set(xlabel="time (ns)", ylabel="radius of gyration (Å)")
    if len(numbers) > 1:
        shown = f"replica (the first {_MOST_LINES} of {len(numbers)})" if len(numbers) > _MOST_LINES else "replica"
        handles, labels = lower.get_legend_handles_labels()
        legend = figure.legend(
            handles, labels, title=shown, loc="outside lower center", ncols=_MOST_LINES, fontsize="small", frameon=False
        )
        for line in legend.get_lines():
            line.set(linewidth=2, alpha=1)
    write_figure(path, figure)
