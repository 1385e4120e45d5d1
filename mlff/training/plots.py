"""Figures that runs of several kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mlff.support.files import write_figure
from mlff.support.ticks import log_axis
from mlff.training.metrics_table import read_metrics

_MAX_POINTS = 20_000


@dataclass(frozen=True)
class Curve:
    """A column of metrics.csv as a line: its label, a factor to the unit of the axis, matplotlib's style and colour."""

    column: str
    label: str
    factor: float = 1.0
    style: str = ".-"
    color: str | None = None


def learning_curve(
    metrics: Path, image: Path, panels: Mapping[str, Sequence[Curve]], *, against: tuple[str, str] = ("epoch", "epochs")
) -> None:
    """Draw columns of the table of a run against its progress and wall time.

    Args:
        metrics: the table; without a validation nothing is drawn.
        image: PNG to write.
        panels: curves by label of their axis.
        against: column for the progress, and its label.
    """
    rows = read_metrics(metrics)
    if not any("val_loss" in row for row in rows):
        return
    figure = Figure(figsize=(9, 1.5 + 2.5 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 2, sharey="row", sharex="col", squeeze=False)
    for line, (label, curves) in zip(axes, panels.items(), strict=True):
        for axis, column in zip(line, (against[0], "minutes"), strict=True):
            for curve in curves:
                points = [(row[column], curve.factor * row[curve.column]) for row in rows if curve.column in row]
                if points:
                    axis.plot(*zip(*points, strict=True), curve.style, ms=3, lw=1, color=curve.color, label=curve.label)
            log_axis(axis, "y")
            axis.grid(alpha=0.3, which="both")
        line[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        line[0].set_ylabel(label)
        if line[0].lines:
            line[0].legend()
    axes[-1, 0].set_xlabel(against[1])
    axes[-1, 1].set_xlabel("wall time (min)")
    write_figure(image, figure)


def parity(
    image: Path,
    reference: NDArray[np.float64],
    predicted: NDArray[np.float64],
    quantity: str,
    unit: str,
    error_unit: str,
    factor: float = 1e3,
) -> None:
    """Draw predictions against references, and the errors; a ``unit`` is ``factor`` of ``error_unit``."""
    difference = predicted - reference
    shown = np.linspace(0, len(reference) - 1, min(len(reference), _MAX_POINTS)).astype(int)
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(reference[shown], predicted[shown], s=5, alpha=0.5, lw=0)
    ends = min(reference.min(), predicted.min()), max(reference.max(), predicted.max())
    left.plot(ends, ends, color="black", lw=0.8, label="predicted = reference")
    left.legend(frameon=False, fontsize="small", loc="upper left")
    left.set_aspect("equal", adjustable="datalim")
    left.locator_params(nbins=5)
    left.ticklabel_format(useOffset=False)
    left.set_xlabel(f"reference {quantity} ({unit})")
    left.set_ylabel(f"predicted {quantity} ({unit})")
    right.hist(factor * difference, bins=60)
    right.set_ylim(bottom=0.7)  # of a logarithmic axis; a count is 1 at least
    log_axis(right, "y")
    right.set_xlabel(f"error ({error_unit})")
    right.set_ylabel("count")
    mae, rmse = factor * np.abs(difference).mean(), factor * np.sqrt(np.square(difference).mean())
    figure.suptitle(f"MAE {mae:.2f}, RMSE {rmse:.2f} {error_unit}; {len(reference)} values")
    write_figure(image, figure)


def error_against_sigma(
    image: Path,
    errors: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    points: Sequence[tuple[float, float]],
    title: str,
    unit: str,
) -> None:
    """Draw absolute errors against standard deviations, on logarithmic axes.

    Args:
        image: PNG to write.
        errors, sigmas: [M].
        points: root mean squares of both in groups of similar standard deviation.
        title, unit: of what was predicted.
    """
    chosen = np.random.default_rng(0).permutation(len(errors))[:_MAX_POINTS]
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axis = figure.add_subplot()
    x, y = np.maximum(sigmas[chosen], 1e-12), np.maximum(errors[chosen], 1e-3 * errors.max() + 1e-12)
    axis.scatter(x, y, s=3, alpha=0.3, linewidths=0, rasterized=True)
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, ends, color="black", linewidth=1, label="error = σ")
    axis.plot(ends, 1.645 * ends, color="black", linewidth=1, linestyle="--", label="90 % are below, if σ is right")
    axis.plot(*zip(*points, strict=True), "o-", color="tab:orange", label="RMS of groups")
    log_axis(axis, "x")
    log_axis(axis, "y")
    axis.set(xlabel=f"σ of the {title} ({unit})", ylabel=f"|error| ({unit})")
    axis.legend(frameon=False, fontsize="small")
    write_figure(image, figure)
