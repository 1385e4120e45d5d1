"""Plots of distributions and of their divergences."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mlff.analysis.analyse import Analysis
from mlff.analysis.controls import NO_OP, SHUFFLED, WALK
from mlff.analysis.divergence import Binning, free_energy
from mlff.analysis.metrics import RAMACHANDRAN, TORSIONS
from mlff.analysis.sides import GENERATED, MD, sides
from mlff.support.ticks import log_axis

Array = NDArray[np.float64]

MOST_PANELS, MOST_ROWS = 12, 5
_HIGHEST = 7.0  # kT
_SIGNS = {"phi": "φ", "psi": "ψ", "chi": "χ"}
_CONTROLS = {NO_OP: "never moves", SHUFFLED: "frames in random order", WALK: "steps as large as those of MD"}


def ramachandran(analysis: Analysis) -> Figure:
    """Free energies over φ and ψ of the residues furthest above the noise floor."""
    rows = {n: (name, "φ (°)", "ψ (°)") for n, name in _furthest(analysis, RAMACHANDRAN, MOST_ROWS).items()}
    bins = analysis.spaces.ramachandran_bins
    degrees = Binning(tuple(np.degrees(edges) for edges in bins.edges))
    return _planes(analysis, "ramachandran", rows, degrees)


def tica(analysis: Analysis) -> Figure:
    """Free energies over TIC1 and TIC2."""
    return _planes(analysis, "tic_plane", {0: ("slow coordinates", "TIC1", "TIC2")}, analysis.spaces.tic_plane_bins)


def _furthest(analysis: Analysis, group: str, most: int) -> dict[int, str]:
    """The metrics of a group with the largest ratios, by their place in the group, in its order."""
    metrics = [metric for metric in analysis.metrics if metric.group == group]
    order = sorted(range(len(metrics)), key=lambda n: -np.nan_to_num(metrics[n].ratio, nan=np.inf))
    return {n: metrics[n].name for n in sorted(order[:most])}


def _planes(analysis: Analysis, sums: str, rows: dict[int, tuple[str, str, str]], bins: Binning) -> Figure:
    """MD, generated and difference of some of the planes [quantities, bins]: title and labels by quantity."""
    figure = Figure(figsize=(11, 3.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    x, y = bins.edges
    for row, (quantity, (title, x_label, y_label)) in enumerate(rows.items()):
        grids = [bins.inner(side.measured.total(sums)[quantity]) for side in sides(analysis)]
        highest = min(_HIGHEST, max(1.0, *(np.ceil(np.nanmax(free_energy(grid))) for grid in grids)))
        for axis, grid, side in zip(axes[row], grids, sides(analysis), strict=False):
            image = axis.pcolormesh(x, y, free_energy(grid).T, cmap="viridis", vmin=0, vmax=highest)
            axis.set_title(f"{title}: {side.name}")
            figure.colorbar(image, ax=axis, label="free energy (kT)", ticks=MaxNLocator(integer=True))
        # Differences of logarithms of probabilities, not of heights above two minima.
        log_p = [np.log(np.where(counts > 0, counts, np.nan) / max(1.0, counts.sum())) for counts in grids]
        image = axes[row, 2].pcolormesh(x, y, (log_p[0] - log_p[1]).T, cmap="RdBu_r", vmin=-2, vmax=2)
        axes[row, 2].set_title(f"{title}: generated - MD")
        figure.colorbar(image, ax=axes[row, 2], label="difference (kT)", ticks=range(-2, 3), extend="both")
        for axis in axes[row]:
            axis.set(xlabel=x_label, ylabel=y_label, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
            if x_label.endswith("(°)"):
                axis.set(xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))
    return figure


def _shown(name: str) -> str:
    """The name of a metric with the sign of its angle: `phi ALA 2` is φ ALA 2."""
    return _SIGNS.get(name[:3], name[:3]) + name[3:]


def torsions(analysis: Analysis) -> Figure:
    """Densities of the torsions furthest above the noise floor."""
    shown = _furthest(analysis, TORSIONS, MOST_PANELS)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2.75 * columns, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    for axis, (n, name) in zip(axes, shown.items(), strict=False):
        _density(axis, analysis, "torsions", n, analysis.spaces.torsion_bins[n], _shown(name), "°")
    axes[0].legend(fontsize=7)
    return figure


def coordinates(analysis: Analysis) -> Figure:
    """Densities of slow coordinates and sizes."""
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    axes = figure.subplots(1, 4)
    for n in range(2):
        _density(axes[n], analysis, "tics", n, analysis.spaces.tic_bins[n], f"TIC{n + 1}", "no unit")
        name = ("radius of gyration", "end-to-end distance")[n]
        _density(axes[2 + n], analysis, "sizes", n, analysis.spaces.size_bins[n], name, "Å")
    axes[0].legend(fontsize=7)
    return figure


def _density(axis: Axes, analysis: Analysis, sums: str, number: int, bins: Binning, name: str, unit: str) -> None:
    edges = np.degrees(bins.edges[0]) if unit == "°" else bins.edges[0]
    widths, centres = np.diff(edges), (edges[1:] + edges[:-1]) / 2

    def density(counts: Array) -> Array:
        return bins.inner(counts[number]) / counts[number].sum() / widths

    blocks = analysis.measured.sums[sums]
    halves = [half for first, second, _ in analysis.halves.splits for half in (first, second)]
    band = np.quantile([density(blocks[half].sum(0)) for half in halves], [0.025, 0.975], axis=0)
    axis.fill_between(centres, *band, color=MD, alpha=0.3, lw=0, label="halves of MD")
    for side in sides(analysis):
        axis.plot(centres, density(side.measured.total(sums)), color=side.colour, lw=1.2, label=side.name)
    axis.set(xlabel=f"{name} ({unit})", ylabel="density" if unit == "no unit" else f"density (1/{unit})")
    axis.set_ylim(bottom=0)
    axis.locator_params(axis="y", nbins=4)
    if unit == "°":
        axis.set_xticks(np.linspace(edges[0], edges[-1], 5))


def divergences(analysis: Analysis) -> Figure:
    """Every divergence: noise floor, generated, controls."""
    metrics = [metric for metric in analysis.metrics if metric.unit == "nats"]
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(metrics)), layout="constrained")
    axis = figure.subplots()
    rows = np.arange(len(metrics))[::-1]
    for shift, colour, label, spreads in (
        (0.14, MD, "noise floor: MD against MD", [m.floor for m in metrics]),
        (-0.14, GENERATED, "generated against MD", [m.matched for m in metrics]),
    ):
        median = np.array([spread.median for spread in spreads])
        errors = [median - [s.low for s in spreads], [s.high for s in spreads] - median]
        axis.errorbar(median, rows + shift, xerr=np.maximum(errors, 0), fmt="o", ms=4, color=colour, label=label)
    for name, marker in zip(analysis.control_totals, ("x", "+", "1"), strict=False):
        label = f"{name}: {_CONTROLS[name]}"
        axis.plot([m.controls[name] for m in metrics], rows, marker, color="0.4", label=label)
    axis.axvline(np.log(2), color="0.7", lw=0.8, ls="--", label="ln 2, the largest there is")
    axis.set_yticks(rows, [_shown(m.name) for m in metrics])
    axis.set_xlabel("Jensen-Shannon divergence (nats)")
    log_axis(axis, "x", linear_below=1e-4)
    axis.set_xlim(0, 1.5)
    axis.set_xticks([0, 1e-4, 1e-3, 1e-2, 0.1, 1])
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure
