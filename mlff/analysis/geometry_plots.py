"""Plots of the geometry of all frames."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mlff.analysis.analyse import Analysis
from mlff.analysis.sides import sides
from mlff.support.ticks import log_axis


def geometry(analysis: Analysis) -> Figure:
    """Densities of the errors of bonds and angles."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    limits = analysis.settings.limits
    panels = (
        ("bond_errors", "bond length - mean in MD (Å)", limits.bond),
        ("angle_errors", "bond angle - mean in MD (°)", limits.angle),
    )
    axes = figure.subplots(1, 2)
    for axis, (sums, label, limit), bins in zip(axes, panels, analysis.spaces.error_bins, strict=True):
        edges = bins.edges[0]
        for side in sides(analysis):
            counts = side.measured.total(sums)[0]
            # What lies outside is added to the outermost bins.
            inner = bins.inner(counts).copy()
            inner[0] += counts[0]
            inner[-1] += counts[-1]
            axis.stairs(inner / counts.sum() / np.diff(edges), edges, color=side.colour, label=side.name)
        for value in (-limit, limit):
            axis.axvline(value, color="0.5", ls=":", lw=1, label="limit of a valid frame" if value > 0 else None)
        axis.set(xlabel=label, ylabel=f"density (1/{label[-2]})")
        log_axis(axis, "y")
    axes[0].legend(fontsize=8)
    return figure


def validity(analysis: Analysis) -> Figure:
    """Valid frames and largest bond errors along the trajectories."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for measured, ensemble, colour, name in sides(analysis):
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
    left.axhline(0.99, color="0.5", ls=":", lw=1, label="target for all frames")
    left.set_ylim(top=1.005)
    left.set_ylabel("share of valid frames")
    right.axhline(analysis.settings.limits.bond, color="0.5", ls=":", lw=1, label="limit of a valid frame")
    if right.get_ylim()[1] > 10 * analysis.settings.limits.bond:
        log_axis(right, "y")
    else:
        right.set_ylim(bottom=0)
    right.set_ylabel("largest bond error (Å)")
    for axis in (left, right):
        axis.set_xlabel("time since the start (ps)")
        axis.legend(fontsize=8)
    return figure
