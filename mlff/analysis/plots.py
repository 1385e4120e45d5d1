"""The plots of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlff.analysis.analyse import Analysis
from mlff.analysis.curves import Kinetic
from mlff.analysis.distribution_plots import coordinates, divergences, ramachandran, tica, torsions
from mlff.analysis.geometry_plots import geometry, validity
from mlff.analysis.kinetic_plots import correlation, timescales, trace
from mlff.support.files import replacing


def write_plots(analysis: Analysis, reference: Kinetic, generated: Kinetic, folder: Path) -> list[str]:
    """Write all plots as PNG files.

    Returns:
        file names, in the order of the report.
    """
    plots: dict[str, Callable[[], Figure]] = {
        "ramachandran.png": lambda: ramachandran(analysis),
        "tica.png": lambda: tica(analysis),
        "divergences.png": lambda: divergences(analysis),
        "torsions.png": lambda: torsions(analysis),
        "coordinates.png": lambda: coordinates(analysis),
        "timescales.png": lambda: timescales(analysis, reference, generated),
        "correlation.png": lambda: correlation(reference, generated),
        "trace.png": lambda: trace(analysis),
        "geometry.png": lambda: geometry(analysis),
        "validity.png": lambda: validity(analysis),
    }
    if "ramachandran" not in analysis.measured.sums:
        del plots["ramachandran.png"]
    for name, draw in plots.items():
        figure = draw()
        # An own canvas, so that no global matplotlib back end is chosen.
        with replacing(folder / name) as temporary:
            FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=110)
    return list(plots)
