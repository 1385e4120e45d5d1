"""Generated trajectories against molecular dynamics, alongside the noise floor of MD and controls.

:func:`analyse` takes two :class:`Ensemble` objects, made of MDTraj trajectories or read from files, and
:func:`write_report` writes what it finds.
"""

from mlff.analysis.analyse import Analysis, analyse
from mlff.analysis.divergence import Binning, js_divergence
from mlff.analysis.ensemble import Ensemble
from mlff.analysis.reading import ensemble_of, read_reference, read_trajectories
from mlff.analysis.report import write_report
from mlff.analysis.settings import AnalysisSettings
from mlff.support.errors import DataError

AnalysisError = DataError  # its name in earlier versions

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
