"""Generated trajectories against molecular dynamics, beside the noise floor of MD against itself and controls.

:func:`analyse` takes two :class:`Ensemble` objects, made of MDTraj trajectories or read from files, and
:func:`write_report` writes what it finds.
"""

from mlff.equijump.analysis.analyse import Analysis, analyse
from mlff.equijump.analysis.divergence import Binning, js_divergence
from mlff.equijump.analysis.ensemble import Ensemble
from mlff.equijump.analysis.errors import AnalysisError
from mlff.equijump.analysis.reading import ensemble_of, read_reference, read_trajectories
from mlff.equijump.analysis.report import write_report
from mlff.equijump.analysis.settings import AnalysisSettings

__all__ = [
    "Analysis",
    "AnalysisError",
    "AnalysisSettings",
    "Binning",
    "Ensemble",
    "analyse",
    "ensemble_of",
    "js_divergence",
    "read_reference",
    "read_trajectories",
    "write_report",
]
