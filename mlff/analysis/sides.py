"""The two sides of every plot: molecular dynamics in blue, the generated ensemble in orange."""

from __future__ import annotations

from typing import NamedTuple

from mlff.analysis.analyse import Analysis
from mlff.analysis.ensemble import Ensemble
from mlff.analysis.measure import Measurement

MD, GENERATED = "tab:blue", "tab:orange"


class Side(NamedTuple):
    """What was measured of an ensemble, its colour and its name in legends."""

    measured: Measurement
    ensemble: Ensemble
    colour: str
    name: str


def sides(analysis: Analysis) -> tuple[Side, Side]:
    """Molecular dynamics and the generated ensemble."""
    return (
        Side(analysis.measured, analysis.reference, MD, "MD"),
        Side(analysis.generated_measured, analysis.generated, GENERATED, "generated"),
    )
