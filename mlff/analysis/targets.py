"""Targets for the metrics, and whether they are met."""

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
from mlff.analysis.settings import TargetSet

Array = NDArray[np.float64]

_JUMPS, _REPLICAS = 10_000, 16
_WIDTHS = ("width of bond lengths", "width of bond angles")


@dataclass(frozen=True)
class Target:
    """A limit that a metric has to keep.

    Attributes:
        name: what is compared.
        value: of the metric.
        limit: that the value must not pass.
        sense: whether the value must be at most or at least the limit.
        reference: the value of the reference itself or of its noise floor, nan where there is none.
        unit: of all three; "%" is given as a fraction.
        required: one of the targets that a published model is measured by; the others are told for completeness.
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
        """Whether the target is met; what is no number does not meet it."""
        return self._keeps(self.value)

    @property
    def measured(self) -> bool:
        """Whether there is a value; there is none where the process it belongs to does not occur."""
        return bool(np.isfinite(self.value))

    @property
    def verdict(self) -> Literal["met", "missed", "not measured"]:
        """In words."""
        if not self.measured:
            return "not measured"
        return "met" if self.passed else "missed"

    @property
    def reference_passed(self) -> bool:
        """Whether the reference itself meets it; true where it has no value."""
        return not np.isfinite(self.reference) or self._keeps(self.reference)

    def _keeps(self, value: float) -> bool:
        return bool(value <= self.limit if self.sense == "≤" else value >= self.limit)


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


def target_set(analysis: Analysis) -> TargetSet:
    """Which targets apply."""
    return analysis.settings.targets or ("held-out" if analysis.reference.held_out else "seen")


def targets(analysis: Analysis, reference: dict[str, Rate], generated: dict[str, Rate]) -> list[Target]:
    """All targets.

    Args:
        reference, generated: rates of :func:`geometry_rates`.
    """

    def rate(column: str, limit: float, sense: Literal["≤", "≥"], required: bool) -> Target:
        found = generated[column]
        return Target(found.name, found.value, limit, sense, reference[column].value, "%", required)

    seen = target_set(analysis) == "seen"
    metrics = {metric.name: metric for metric in analysis.metrics}
    backbone = [m for m in analysis.metrics if m.group == "torsions" and m.name.startswith(("phi", "psi"))]
    resolved = [metrics[f"t{n + 1}"] for n in range(min(PROCESSES, analysis.kinetics.resolved))]
    tic1, vamp, flux = metrics["TIC1"], metrics["VAMP-2 gap"], metrics["flux asymmetry"]
    passages = [metrics[f"passage to the {which} basin"] for which in ("smaller", "larger")]
    free_energy = metrics["ΔG between the basins, difference"]
    none = float("nan")
    # What cannot be measured is listed, too, and fails: a target is not met by its absence.
    found = []
    ratio, which = none, "none in this molecule"
    if backbone:
        worst = max(backbone, key=lambda metric: _or_infinite(metric.ratio))
        ratio, which = worst.ratio, f"worst: {worst.name}"
    found.append(Target(f"divergence of φ and ψ over the noise floor ({which})", ratio, 2.0, "≤", 1.0, "times", seen))
    found.append(Target("divergence of TIC1", tic1.value, 0.02 if seen else 0.05, "≤", tic1.floor.median, "nats", True))
    value, floor, which = none, none, "none of MD is longer than the lag"
    if resolved:
        slow = max(resolved, key=lambda metric: metric.value)
        value, floor = slow.value, slow.floor.median
        which = "t1" if len(resolved) == 1 else f"t1 to t{len(resolved)} (worst: {slow.name})"
    found.append(Target(f"implied timescales, {which}", value, 1.5 if seen else 2.0, "≤", floor, "factor", True))
    found += [
        rate("valid", 0.99, "≥", True),
        rate("bond_outliers", 0.001, "≤", True),
        rate("angle_outliers", 0.005, "≤", False),
        rate("overlapping", reference["overlapping"].value + 0.005, "≤", False),
        rate("inverted", 0.0, "≤", False),
        rate("cis", reference["cis"].value + 0.005, "≤", False),
        *(Target(n, metrics[n].value, 1.1, "≤", metrics[n].floor.median, "factor", False) for n in _WIDTHS),
        Target("VAMP-2 gap", vamp.value, 0.05, "≤", vamp.floor.median, "%", False),
    ]
    slowest = max(passages, key=lambda metric: metric.value)
    found += [
        Target("passage times between the basins", slowest.value, 2.0, "≤", slowest.floor.median, "factor", False),
        Target("ΔG between the basins", free_energy.value, 0.5, "≤", free_energy.floor.median, "kT", False),
        Target("flux asymmetry over the noise floor", flux.ratio, 1.5, "≤", 1.0, "times", False),
        # A rollout has one frame for each jump and none for its start.
        Target("jumps of the shortest replica", min(analysis.generated.lengths), _JUMPS, "≥", none, "", seen),
        Target("replicas", len(analysis.generated.lengths), _REPLICAS, "≥", none, "", seen),
    ]
    if analysis.generated.lost is not None:
        found.append(Target("exploded or missing replicas", analysis.generated.lost, 0.0, "≤", none, "", True))
    if SHUFFLED in analysis.control_totals:
        apart = metrics["t1"].controls[SHUFFLED]
        found.append(Target("check: t1 of shuffled MD is wrong by", apart, 2.0, "≥", none, "factor", False))
    return found


def _or_infinite(value: float) -> float:
    return value if np.isfinite(value) else float("inf")
