"""Figures that the drivers share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlff.support.files import write_figure

_BINS = 72  # of 5 degrees


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches, apart from pyplot and its global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dihedral_counts(phi: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Histogram [phi, psi] of pairs of angles in degrees, -180 to 180; both arguments of any, equal shape."""
    edges = _edges()
    counts: np.ndarray = np.histogram2d(phi.ravel(), psi.ravel(), bins=[edges, edges])[0]
    return counts


def draw_ramachandran(path: Path, counts: np.ndarray, title: str = "") -> None:
    """Write the figure of a histogram of :func:`dihedral_counts` as PNG."""
    figure = new_figure(5, 4.4)
    axes = figure.subplots()
    edges = _edges()
    image = axes.pcolormesh(edges, edges, np.where(counts > 0, counts, np.nan).T, cmap="viridis", vmin=0)
    figure.colorbar(image, ax=axes, label="frames × residues")
    ticks = range(-180, 181, 60)
    axes.set(xlabel="φ (°)", ylabel="ψ (°)", xticks=ticks, yticks=ticks, aspect="equal")
    if title:
        axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    write_figure(path, figure)


def _edges() -> np.ndarray:
    return np.linspace(-180.0, 180.0, _BINS + 1)
