"""The figure of a jump model's training."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from mlff.training.record import read_metrics
from mlff.training.report import save_figure


def plot_jump_training(metrics: Path, image: Path) -> None:
    """Losses of anchors and vectors, in training and on held-out trajectories, against steps and wall time."""
    rows = read_metrics(metrics)
    if not any("val_loss" in row for row in rows):
        return
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, column, label in zip(axes, ("step", "minutes"), ("steps", "wall time (min)"), strict=True):
        for color, part in (("tab:blue", "anchors"), ("tab:orange", "vectors")):
            for name, style, words in ((f"loss_{part}", "-", "training"), (f"val_{part}", "o-", "validation")):
                points = [(row[column], row[name]) for row in rows if name in row]
                if points:
                    width = 0.5 if style == "-" else 1.5
                    axis.plot(*zip(*points, strict=True), style, ms=3, lw=width, color=color, label=f"{part}, {words}")
        axis.set_xlabel(label)
        axis.set_yscale("log")
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("loss (units of the noise)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    save_figure(figure, image)
