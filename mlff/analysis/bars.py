"""Limits for the figures, and whether they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.analyse import Analysis
from mlff.analysis.controls import SHUFFLED
from mlff.analysis.measure import GEOMETRY, Measurement
from mlff.analysis.metrics import PROCESSES
from mlff.analysis.resampling import Spread, resampled_totals
from mlff.analysis.settings import BarSet

Array = NDArray[np.float64]

_JUMPS, _REPLICAS = 10_000, 16


@dataclass(frozen=True)
class Bar:
    """One limit.

    Attributes:
        name: what is compared.
        value: the figure.
        limit: and its limit.
        sense: whether the figure must be at most or at least the limit.
        reference: the figure of the reference itself or of its noise floor, nan where there is none.
        unit: of all three; "%" is given as a fraction.
        required: one of the bars that a published model is measured by; the others are told for completeness.
    """

    name: str
    value: float
    limit: float
    sense: Literal["≤", "≥"]
    reference: float
    unit: str
    required: bool

    @property
    def passed(self) -> bool:
        """Whether the limit is kept; what is no number does not."""
        if self.sense == "≤":
            return bool(self.value <= self.limit)
        return bool(self.value >= self.limit)

    @property
    def reference_passed(self) -> bool:
        """Whether the reference itself keeps the limit; true where it has no figure."""
        if not np.isfinite(self.reference):
            return True
        return bool(self.reference <= self.limit if self.sense == "≤" else self.reference >= self.limit)


@dataclass(frozen=True)
class Rate:
    """How often something occurs, as a fraction, with its bootstrap interval."""

    name: str
    value: float
    interval: Spread


#: Rates of a measurement: name, column of ``sums["geometry"]``, what is counted in each frame.
_RATES = (
    ("bonds > {bond:g} Å from the mean", "bond_outliers", "bonds"),
    ("angles > {angle:g}° from the mean", "angle_outliers", "angles"),
    ("frames with overlaps > {overlap:g} Å", "overlapping", ""),
    ("frames with inverted stereocentres", "inverted", ""),
    ("frames with cis peptide bonds", "cis", ""),
    ("valid frames", "valid", ""),
)


def geometry_rates(analysis: Analysis, measured: Measurement) -> dict[str, Rate]:
    """Rates of outliers by the column they come from."""
    terms = analysis.spaces.check.terms
    per_frame = {"bonds": len(terms.bonds), "angles": len(terms.angles), "": 1}
    limits = analysis.settings.limits.model_dump()
    rng = np.random.default_rng(analysis.settings.seed)
    sums = measured.sums["geometry"]
    drawn = np.array(resampled_totals(sums, measured.blocks, analysis.settings.bootstrap, rng))
    whole = sums.sum(0)
    frames = GEOMETRY.index("frames")
    rates = {}
    for text, column, counted in _RATES:
        place, number = GEOMETRY.index(column), max(1, per_frame[counted])
        rates[column] = Rate(
            text.format(**limits),
            float(whole[place] / whole[frames] / number),
            Spread.of(drawn[:, place] / drawn[:, frames] / number),
        )
    return rates


def bar_set(analysis: Analysis) -> BarSet:
    """Which limits apply."""
    return analysis.settings.bars or ("held-out" if analysis.reference.held_out else "seen")


def bars(analysis: Analysis, reference: dict[str, Rate], generated: dict[str, Rate]) -> list[Bar]:
    """All limits.

    Args:
        reference, generated: rates of :func:`geometry_rates`.
    """
    seen = bar_set(analysis) == "seen"
    figures = {figure.name: figure for figure in analysis.figures}
    backbone = [f for f in analysis.figures if f.group == "torsions" and f.name.startswith(("phi", "psi"))]
    resolved = [figures[f"t{n + 1}"] for n in range(min(PROCESSES, analysis.kinetics.resolved))]
    tic1, vamp, flux = figures["TIC1"], figures["VAMP-2 gap"], figures["flux asymmetry"]
    passages = [figures[f"passage to the {which} basin"] for which in ("smaller", "larger")]
    free_energy = figures["ΔG between the basins, difference"]
    none = float("nan")
    # What cannot be measured is listed, too, and fails: a limit must not be kept by its absence.
    found = []
    ratio, which = none, "none in this molecule"
    if backbone:
        worst = max(backbone, key=lambda figure: _or_infinite(figure.ratio))
        ratio, which = worst.ratio, f"worst: {worst.name}"
    found.append(Bar(f"divergence of φ and ψ over the noise floor ({which})", ratio, 2.0, "≤", 1.0, "times", seen))
    found.append(Bar("divergence of TIC1", tic1.value, 0.02 if seen else 0.05, "≤", tic1.floor.median, "nats", True))
    value, floor, which = none, none, "none of MD is longer than the lag"
    if resolved:
        slow = max(resolved, key=lambda figure: figure.value)
        value, floor = slow.value, slow.floor.median
        which = "t1" if len(resolved) == 1 else f"t1 to t{len(resolved)} (worst: {slow.name})"
    found.append(Bar(f"implied timescales, {which}", value, 1.5 if seen else 2.0, "≤", floor, "factor", True))
    found += [
        _rate_bar("valid", 0.99, "≥", reference, generated, True),
        _rate_bar("bond_outliers", 0.001, "≤", reference, generated, True),
        _rate_bar("angle_outliers", 0.005, "≤", reference, generated, False),
        _rate_bar("overlapping", reference["overlapping"].value + 0.005, "≤", reference, generated, False),
        _rate_bar("inverted", 0.0, "≤", reference, generated, False),
        _rate_bar("cis", reference["cis"].value + 0.005, "≤", reference, generated, False),
        Bar("VAMP-2 gap", vamp.value, 0.05, "≤", vamp.floor.median, "%", False),
    ]
    slowest = max(passages, key=lambda figure: figure.value)
    found += [
        Bar("passage times between the basins", slowest.value, 2.0, "≤", slowest.floor.median, "factor", False),
        Bar("ΔG between the basins", free_energy.value, 0.5, "≤", free_energy.floor.median, "kT", False),
        Bar("flux asymmetry over the noise floor", flux.ratio, 1.5, "≤", 1.0, "times", False),
        # A rollout has one frame for each jump and none for its start.
        Bar("jumps of the shortest replica", min(analysis.generated.lengths), _JUMPS, "≥", none, "", seen),
        Bar("replicas", len(analysis.generated.lengths), _REPLICAS, "≥", none, "", seen),
    ]
    if analysis.generated.lost is not None:
        found.append(Bar("exploded or missing replicas", analysis.generated.lost, 0.0, "≤", none, "", True))
    if SHUFFLED in analysis.control_totals:
        apart = figures["t1"].controls[SHUFFLED]
        found.append(Bar("check: t1 of shuffled MD is wrong by", apart, 2.0, "≥", none, "factor", False))
    return found


def _rate_bar(
    column: str,
    limit: float,
    sense: Literal["≤", "≥"],
    reference: dict[str, Rate],
    generated: dict[str, Rate],
    required: bool,
) -> Bar:
    rate = generated[column]
    return Bar(rate.name, rate.value, limit, sense, reference[column].value, "%", required)


def _or_infinite(value: float) -> float:
    return value if np.isfinite(value) else float("inf")
