"""Figures of the report. All show molecular dynamics in blue and the generated ensemble in orange."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlff.analysis.analyse import Analysis
from mlff.analysis.curves import Curve, Kinetic
from mlff.analysis.divergence import Binning, free_energy
from mlff.analysis.metrics import RAMACHANDRAN, TORSIONS
from mlff.support.files import replacing

Array = NDArray[np.float64]

MD, GENERATED = "tab:blue", "tab:orange"
_MOST_PANELS = 12
_MOST_ROWS = 5
_HIGHEST = 7.0  # kT
_TRACE = 2000  # frames shown


def write_plots(analysis: Analysis, reference: Kinetic, generated: Kinetic, folder: Path) -> dict[str, str]:
    """Write all figures as PNG files.

    Returns:
        file names and captions, in the order of the report.
    """
    plots: dict[str, tuple[str, Callable[[], Figure]]] = {
        "ramachandran.png": (
            "Free energies over φ and ψ: MD, generated, and their difference where both have been" + _only(_MOST_ROWS),
            lambda: _ramachandran(analysis),
        ),
        "tica.png": (
            "Free energies over the two slowest coordinates, which were fitted to MD only",
            lambda: _tica(analysis),
        ),
        "divergences.png": (
            "Divergences: MD halves against each other (floor), as much of the generated ensemble against the same "
            "halves, and the controls",
            lambda: _divergences(analysis),
        ),
        "torsions.png": (
            "Torsions; the band is that of random halves of MD" + _only(_MOST_PANELS),
            lambda: _torsions(analysis),
        ),
        "coordinates.png": (
            "Slow coordinates and size; the band is that of random halves of MD",
            lambda: _coordinates(analysis),
        ),
        "timescales.png": (
            "Implied timescales of Markov models against their lag, with bootstrap bands; in the grey area "
            "nothing can be resolved",
            lambda: _timescales(analysis, reference, generated),
        ),
        "correlation.png": (
            "Autocorrelation of TIC1, and the Chapman-Kolmogorov test: probability to be in a basin again, observed "
            "(points) and predicted by the Markov model (lines)",
            lambda: _correlation(reference, generated),
        ),
        "trace.png": (
            "TIC1 in the first trajectories, in equal lengths of time",
            lambda: _trace(analysis),
        ),
        "geometry.png": (
            "Deviations of bond lengths and angles from their means in MD",
            lambda: _geometry(analysis),
        ),
        "validity.png": (
            "Every generated frame: share of valid frames and largest bond error along the trajectories",
            lambda: _validity(analysis),
        ),
    }
    if "ramachandran" not in analysis.measured.sums:
        del plots["ramachandran.png"]
    for name, (_, draw) in plots.items():
        figure = draw()
        # An own canvas, so that no global matplotlib back end is chosen.
        with replacing(folder / name) as temporary:
            FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=110)
    return {name: caption for name, (caption, _) in plots.items()}


def _ramachandran(analysis: Analysis) -> Figure:
    rows = {n: (name, "φ (°)", "ψ (°)") for n, name in _furthest(analysis, RAMACHANDRAN, _MOST_ROWS).items()}
    bins = analysis.spaces.ramachandran_bins
    degrees = Binning(tuple(np.degrees(edges) for edges in bins.edges))
    return _planes(analysis, "ramachandran", rows, degrees)


def _tica(analysis: Analysis) -> Figure:
    return _planes(analysis, "tic_plane", {0: ("slow coordinates", "TIC1", "TIC2")}, analysis.spaces.tic_plane_bins)


def _only(number: int) -> str:
    return f" (at most {number}, those that are furthest above the noise floor)"


def _furthest(analysis: Analysis, group: str, most: int) -> dict[int, str]:
    """The figures of a group with the largest ratios, by their place in the group, in its order."""
    figures = [figure for figure in analysis.figures if figure.group == group]
    order = sorted(range(len(figures)), key=lambda n: -np.nan_to_num(figures[n].ratio, nan=np.inf))
    return {n: figures[n].name for n in sorted(order[:most])}


def _planes(analysis: Analysis, sums: str, rows: dict[int, tuple[str, str, str]], bins: Binning) -> Figure:
    """MD, generated and difference of some of the planes [quantities, bins]: title and labels by quantity."""
    figure = Figure(figsize=(11, 3.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    x, y = bins.edges
    for row, (quantity, (title, x_label, y_label)) in enumerate(rows.items()):
        grids = [
            bins.inner(measured.total(sums)[quantity]) for measured in (analysis.measured, analysis.generated_measured)
        ]
        energies = [free_energy(grid) for grid in grids]
        for axis, energy, name in zip(axes[row], energies, ("MD", "generated"), strict=False):
            image = axis.pcolormesh(x, y, energy.T, cmap="viridis", vmin=0, vmax=_HIGHEST)
            axis.set_title(f"{title}: {name}")
            figure.colorbar(image, ax=axis, label="kT")
        # Differences of logarithms of probabilities, not of heights above two minima.
        log_p = [np.log(np.where(counts > 0, counts, np.nan) / max(1.0, counts.sum())) for counts in grids]
        image = axes[row, 2].pcolormesh(x, y, (log_p[0] - log_p[1]).T, cmap="RdBu_r", vmin=-2, vmax=2)
        axes[row, 2].set_title(f"{title}: generated - MD")
        figure.colorbar(image, ax=axes[row, 2], label="kT")
        for axis in axes[row]:
            axis.set_xlabel(x_label)
            axis.set_ylabel(y_label)
            axis.set_xlim(x[0], x[-1])
            axis.set_ylim(y[0], y[-1])
    return figure


def _torsions(analysis: Analysis) -> Figure:
    shown = _furthest(analysis, TORSIONS, _MOST_PANELS)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2.75 * columns, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    for axis, (n, name) in zip(axes, shown.items(), strict=False):
        _density(axis, analysis, "torsions", n, analysis.spaces.torsion_bins[n], name, "°")
    axes[0].legend(fontsize=7)
    return figure


def _coordinates(analysis: Analysis) -> Figure:
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    axes = figure.subplots(1, 4)
    for n in range(2):
        _density(axes[n], analysis, "tics", n, analysis.spaces.tic_bins[n], f"TIC{n + 1}", "")
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
    axis.plot(centres, density(analysis.measured.total(sums)), color=MD, lw=1.2, label="MD")
    axis.plot(centres, density(analysis.generated_measured.total(sums)), color=GENERATED, lw=1.2, label="generated")
    axis.set_title(name, fontsize=9)
    axis.set_xlabel(unit)
    axis.set_yticks([])
    if unit == "°":
        axis.set_xticks(np.linspace(edges[0], edges[-1], 5))


def _divergences(analysis: Analysis) -> Figure:
    figures = [figure for figure in analysis.figures if figure.unit == "nats"]
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(figures)), layout="constrained")
    axis = figure.subplots()
    rows = np.arange(len(figures))[::-1]
    for shift, colour, label, spreads in (
        (0.14, MD, "floor: MD against MD", [f.floor for f in figures]),
        (-0.14, GENERATED, "generated against MD", [f.matched for f in figures]),
    ):
        median = np.array([spread.median for spread in spreads])
        bars = [median - [s.low for s in spreads], [s.high for s in spreads] - median]
        axis.errorbar(median, rows + shift, xerr=np.maximum(bars, 0), fmt="o", ms=4, color=colour, label=label)
    for name, marker in zip(analysis.control_totals, ("x", "+", "1"), strict=False):
        axis.plot([f.controls[name] for f in figures], rows, marker, color="0.4", label=name)
    axis.axvline(np.log(2), color="0.7", lw=0.8)
    axis.set_xscale("symlog", linthresh=1e-4)
    axis.set_xlim(left=0)
    axis.set_yticks(rows, [f.name for f in figures])
    axis.set_xlabel("Jensen-Shannon divergence (nats); ln 2 is the largest")
    axis.legend(fontsize=7)
    return figure


def _timescales(analysis: Analysis, reference: Kinetic, generated: Kinetic) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for kinetic, colour, label in ((reference, MD, "MD"), (generated, GENERATED, "generated")):
        for n in range(kinetic.timescales.value.shape[1]):
            _banded(axis, kinetic.timescales, colour, label if n == 0 else None, n)
    lags = reference.timescales.lags
    axis.plot(lags, lags, color="0.5", lw=1)
    axis.fill_between(lags, np.full(len(lags), lags[0] / 2), lags, color="0.85", lw=0)
    axis.axvline(analysis.kinetics.lag, color="0.5", ls=":", lw=1)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(bottom=lags[0] / 2)
    axis.set_xlabel("lag (ps); dotted: where the report compares")
    axis.set_ylabel("implied timescale (ps)")
    axis.legend()
    return figure


def _correlation(reference: Kinetic, generated: Kinetic) -> Figure:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, *others = figure.subplots(1, 3)
    for kinetic, colour, label in ((reference, MD, "MD"), (generated, GENERATED, "generated")):
        _banded(left, kinetic.autocorrelation, colour, label)
        for basin, axis in enumerate(others):
            lags = kinetic.survival_lags
            axis.plot(lags, kinetic.predicted[:, basin], color=colour, lw=1)
            axis.plot(lags, kinetic.observed[:, basin], "o", color=colour, ms=4, label=label)
    left.axhline(0, color="0.5", lw=0.8)
    left.set_xscale("symlog", linthresh=reference.autocorrelation.lags[1])
    left.set_xlim(left=0)
    left.set_xlabel("lag (ps)")
    left.set_ylabel("autocorrelation of TIC1")
    left.legend()
    for axis, name in zip(others, ("larger", "smaller"), strict=True):
        axis.set_title(f"{name} basin", fontsize=9)
        axis.set_xscale("log")
        axis.set_xlabel("time (ps)")
        axis.set_ylabel("probability to be there again")
    return figure


def _banded(axis: Axes, curve: Curve, colour: str, label: str | None, column: int | None = None) -> None:
    value, low, high = (v if column is None else v[:, column] for v in (curve.value, curve.low, curve.high))
    axis.plot(curve.lags, value, "o-", ms=3, lw=1.2, color=colour, label=label)
    axis.fill_between(curve.lags, low, high, color=colour, alpha=0.2, lw=0)


def _trace(analysis: Analysis) -> Figure:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    shown = []
    for measured, ensemble in (
        (analysis.measured, analysis.reference),
        (analysis.generated_measured, analysis.generated),
    ):
        values = measured.first_tics[:, 0]
        shown.append((np.arange(len(values)) * ensemble.interval, values))
    end = min(times[-1] for times, _ in shown)
    low, high = analysis.spaces.tic_bins[0].edges[0][[0, -1]]
    for axis, (times, values), colour, name in zip(axes, shown, (MD, GENERATED), ("MD", "generated"), strict=True):
        kept = np.flatnonzero(times <= end)
        kept = kept[:: max(1, len(kept) // _TRACE)]
        axis.plot(times[kept], values[kept], ".", ms=1.5, color=colour)
        axis.set_ylabel(f"TIC1, {name}")
    margin = (high - low) / 2
    axes[0].set_ylim(low - margin, high + margin)
    axes[1].set_xlabel("time (ps)")
    return figure


def _geometry(analysis: Analysis) -> Figure:
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    limits = analysis.settings.limits
    panels = (
        ("bond_errors", "bond length - mean in MD (Å)", limits.bond),
        ("angle_errors", "bond angle - mean in MD (°)", limits.angle),
    )
    axes = figure.subplots(1, 2)
    for axis, (sums, label, limit), bins in zip(axes, panels, analysis.spaces.error_bins, strict=True):
        edges = bins.edges[0]
        for measured, colour, name in (
            (analysis.measured, MD, "MD"),
            (analysis.generated_measured, GENERATED, "generated"),
        ):
            counts = measured.total(sums)[0]
            # What lies outside is added to the outermost bins.
            inner = bins.inner(counts).copy()
            inner[0] += counts[0]
            inner[-1] += counts[-1]
            axis.stairs(inner / counts.sum() / np.diff(edges), edges, color=colour, label=name)
        for side in (-limit, limit):
            axis.axvline(side, color="0.5", ls=":", lw=1)
        axis.set_yscale("log")
        axis.set_xlabel(label)
        axis.set_ylabel("density")
    axes[0].legend()
    return figure


def _validity(analysis: Analysis) -> Figure:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for measured, ensemble, colour, name in (
        (analysis.measured, analysis.reference, MD, "MD"),
        (analysis.generated_measured, analysis.generated, GENERATED, "generated"),
    ):
        length = max(ensemble.lengths)
        edges = np.linspace(0, length, min(length, 100) + 1)
        frames = np.concatenate([np.arange(len(part.valid)) for part in measured.geometry])
        valid = np.concatenate([part.valid for part in measured.geometry])
        errors = np.concatenate([part.bond_error for part in measured.geometry])
        bins = np.searchsorted(edges, frames, side="right") - 1
        counts = np.bincount(bins, minlength=len(edges) - 1)
        times = (edges[1:] + edges[:-1]) / 2 * ensemble.interval
        with np.errstate(invalid="ignore"):
            left.plot(times, np.bincount(bins, valid, len(edges) - 1) / counts, color=colour, label=name)
        worst = np.zeros(len(edges) - 1)
        np.maximum.at(worst, bins, np.nan_to_num(errors, nan=np.inf))
        right.plot(times, np.where(np.isfinite(worst), worst, np.nan), color=colour, label=name)
    left.axhline(0.99, color="0.5", ls=":", lw=1)
    left.set_ylim(top=1.005)
    left.set_ylabel("share of valid frames")
    right.axhline(analysis.settings.limits.bond, color="0.5", ls=":", lw=1)
    if right.get_ylim()[1] > 10 * analysis.settings.limits.bond:
        right.set_yscale("log")
    else:
        right.set_ylim(bottom=0)
    right.set_ylabel("largest bond error (Å)")
    for axis in (left, right):
        axis.set_xlabel("time since the start (ps)")
    left.legend()
    return figure
