"""Plots of timescales, correlations and trajectories in time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlff.analysis.analyse import Analysis
from mlff.analysis.curves import Curve, Kinetic
from mlff.analysis.sides import GENERATED, MD, sides
from mlff.support.ticks import log_axis

_TRACE = 2000  # frames shown


def timescales(analysis: Analysis, reference: Kinetic, generated: Kinetic) -> Figure:
    """Implied timescales against the lag."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    processes = reference.timescales.value.shape[1]
    for kinetic, colour, name in ((reference, MD, "MD"), (generated, GENERATED, "generated")):
        for n in range(processes):
            label = f"{name}, t1 to t{processes} from above; 95 % bootstrap" if n == 0 else None
            _banded(axis, kinetic.timescales, colour, label, n)
    lags = reference.timescales.lags
    axis.plot(lags, lags, color="0.5", lw=1)
    below = np.full(len(lags), lags[0] / 2)
    axis.fill_between(lags, below, lags, color="0.85", lw=0, label="shorter than the lag: not resolved")
    axis.axvline(analysis.kinetics.lag, color="0.5", ls=":", lw=1, label="lag at which the report compares")
    axis.set(xlabel="lag (ps)", ylabel="implied timescale (ps)")
    for which in ("x", "y"):
        log_axis(axis, which)
    axis.set_ylim(bottom=lags[0] / 2)
    axis.legend(fontsize=8)
    return figure


def correlation(reference: Kinetic, generated: Kinetic) -> Figure:
    """Autocorrelation of TIC1 and the Chapman-Kolmogorov test."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, *others = figure.subplots(1, 3)
    for kinetic, colour, label in ((reference, MD, "MD"), (generated, GENERATED, "generated")):
        _banded(left, kinetic.autocorrelation, colour, label)
        for basin, axis in enumerate(others):
            lags = kinetic.survival_lags
            axis.plot(lags, kinetic.predicted[:, basin], color=colour, lw=1, label=f"{label}, Markov model")
            axis.plot(lags, kinetic.observed[:, basin], "o", color=colour, ms=4, label=f"{label}, observed")
    left.axhline(0, color="0.5", lw=0.8)
    left.set(xlabel="lag (ps)", ylabel="autocorrelation of TIC1")
    log_axis(left, "x", linear_below=reference.autocorrelation.lags[1])
    left.set_xlim(left=0)
    left.legend()
    for axis, name in zip(others, ("larger", "smaller"), strict=True):
        axis.set_title(f"{name} basin", fontsize=9)
        axis.set(xlabel="time (ps)", ylabel="probability to be there again")
        log_axis(axis, "x")
    others[0].legend(fontsize=7)
    return figure


def _banded(axis: Axes, curve: Curve, colour: str, label: str | None, column: int | None = None) -> None:
    value, low, high = (v if column is None else v[:, column] for v in (curve.value, curve.low, curve.high))
    axis.plot(curve.lags, value, "o-", ms=3, lw=1.2, color=colour, label=label)
    axis.fill_between(curve.lags, low, high, color=colour, alpha=0.2, lw=0)


def trace(analysis: Analysis) -> Figure:
    """TIC1 of the first trajectories."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    shown = []
    for side in sides(analysis):
        values = side.measured.first_tics[:, 0]
        shown.append((np.arange(len(values)) * side.ensemble.interval, values))
    end = min(times[-1] for times, _ in shown)
    low, high = analysis.spaces.tic_bins[0].edges[0][[0, -1]]
    for axis, (times, values), side in zip(axes, shown, sides(analysis), strict=True):
        kept = np.flatnonzero(times <= end)
        kept = kept[:: max(1, len(kept) // _TRACE)]
        axis.plot(times[kept], values[kept], ".", ms=1.5, color=side.colour)
        axis.set_ylabel(f"TIC1, {side.name}")
    margin = (high - low) / 2
    axes[0].set_ylim(low - margin, high + margin)
    axes[1].set_xlabel("time (ps)")
    return figure
