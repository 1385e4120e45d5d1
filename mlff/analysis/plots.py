"""The plots of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlff.analysis.analyse import Analysis
from mlff.analysis.curves import Kinetic
from mlff.analysis.distribution_plots import (
    MOST_PANELS,
    MOST_ROWS,
    coordinates,
    divergences,
    ramachandran,
    tica,
    torsions,
)
from mlff.analysis.geometry_plots import geometry, validity
from mlff.analysis.kinetic_plots import correlation, timescales, trace
from mlff.support.files import replacing


def write_plots(analysis: Analysis, reference: Kinetic, generated: Kinetic, folder: Path) -> dict[str, str]:
    """Write all plots as PNG files.

    Returns:
        file names and captions, in the order of the report.
    """
    plots: dict[str, tuple[str, Callable[[], Figure]]] = {
        "ramachandran.png": (
            "Free energies over φ and ψ: MD, generated, and their difference where both have been" + _only(MOST_ROWS),
            lambda: ramachandran(analysis),
        ),
        "tica.png": (
            "Free energies over the two slowest coordinates, which were fitted to MD only",
            lambda: tica(analysis),
        ),
        "divergences.png": (
            "Divergences: split halves of MD against each other (noise floor), as much of the generated ensemble "
            "against the same halves, and the controls",
            lambda: divergences(analysis),
        ),
        "torsions.png": (
            "Torsions; the band is that of split halves of MD" + _only(MOST_PANELS),
            lambda: torsions(analysis),
        ),
        "coordinates.png": (
            "Slow coordinates and size; the band is that of split halves of MD",
            lambda: coordinates(analysis),
        ),
        "timescales.png": (
            "Implied timescales of Markov models against their lag, with bootstrap bands; in the grey area "
            "nothing can be resolved",
            lambda: timescales(analysis, reference, generated),
        ),
        "correlation.png": (
            "Autocorrelation of TIC1, and the Chapman-Kolmogorov test: probability to be in a basin again, observed "
            "(points) and predicted by the Markov model (lines)",
            lambda: correlation(reference, generated),
        ),
        "trace.png": (
            "TIC1 in the first trajectories, in equal lengths of time",
            lambda: trace(analysis),
        ),
        "geometry.png": (
            "Deviations of bond lengths and angles from their means in MD",
            lambda: geometry(analysis),
        ),
        "validity.png": (
            "Every generated frame: share of valid frames and largest bond error along the trajectories",
            lambda: validity(analysis),
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


def _only(number: int) -> str:
    return f" (at most {number}, those that are furthest above the noise floor)"
