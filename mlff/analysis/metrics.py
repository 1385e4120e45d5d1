"""The metrics that compare a generated ensemble with the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.correlation import autocorrelation, integrated_time, vamp2
from mlff.analysis.divergence import js_divergence
from mlff.analysis.markov import MarkovModel, factor, flux_asymmetry, transition_divergence
from mlff.analysis.measure import Lags
from mlff.analysis.resampling import MetricGroup
from mlff.analysis.spaces import Spaces
from mlff.analysis.structure import StructureSums, contact_probabilities, rmsf

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

PROCESSES = 3  # implied timescales that are compared
TORSIONS, RAMACHANDRAN, SLOW, SIZE, SHAPE = "torsions", "Ramachandran", "slow coordinates", "size", "structure"
KINETICS, MARKOV, GEOMETRY = "kinetics", "Markov model", "geometry"


@dataclass(frozen=True, eq=False)
class Kinetics:
    """What the Markov models are compared by.

    Attributes:
        lag: ps.
        place: of this lag among ``Lags.markov``.
        resolved: how many timescales of the reference are longer than the lag.
        states: clusters of the reference's model, those that it leads to and back from.
        basins: clusters on either side of the slowest process, the larger side first.
    """

    lag: float
    place: int
    resolved: int
    states: Integers
    basins: tuple[Integers, Integers]

    def model(self, counts: Array) -> MarkovModel | None:
        """The Markov model at the lag of the comparison, of counts [lags, n, n]; None without transitions."""
        return MarkovModel.of(counts[self.place], self.lag)

    def timescales(self, model: MarkovModel | None) -> Array:
        """[processes] in ps, implied timescales among the states of the reference; nan for what the model lacks.

        Where it does not connect both sides of the slowest process, its own slowest is the next one.
        """
        known = None if model is None else model.within(self.states)
        if known is None:
            return np.full(PROCESSES, np.nan)
        found = known.timescales(PROCESSES)
        complete = all(np.isin(known.states, basin).any() for basin in self.basins)
        return found if complete else np.append(np.nan, found[:-1])

    def times(self, model: MarkovModel | None) -> Array:
        """[processes + 2] in ps: implied timescales, passage there and back; nan for what the model lacks."""
        known = None if model is None else model.within(self.states)
        large, small = self.basins
        ways = ((large, small), (small, large))
        passage = [np.nan if known is None else known.passage_time(source, target) for source, target in ways]
        return np.append(self.timescales(known), passage)

    def outside(self, counts: Array) -> float:
        """The share of frames in clusters that the model of the reference does not have, of counts [n]."""
        return float(1.0 - counts[self.states].sum() / counts.sum())


def metric_groups(spaces: Spaces, structure: StructureSums, lags: Lags, kinetics: Kinetics) -> list[MetricGroup]:
    """All metrics of a molecule."""

    def populations(counts: Array) -> Array:
        large, small = kinetics.basins
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(counts[large].sum() / counts[small].sum())

    torsions = spaces.features.torsions
    residues = tuple(f"φ, ψ {torsions.names[phi].removeprefix('phi ')}" for phi, _ in torsions.pairs)
    found = [
        _divergence(TORSIONS, torsions.names, "torsions"),
        _divergence(RAMACHANDRAN, residues, "ramachandran") if residues else None,
        _divergence(SLOW, ("TIC1", "TIC2"), "tics"),
        _divergence(SLOW, ("TIC1, TIC2",), "tic_plane"),
        MetricGroup(SLOW, ("ΔG between the basins, difference",), "kT", "clusters", populations, _absolute_difference),
        _divergence(SIZE, ("radius of gyration", "end-to-end distance"), "sizes"),
        _divergence(GEOMETRY, ("bond lengths",), "bond_errors"),
        _divergence(GEOMETRY, ("bond angles",), "angle_errors"),
        *(
            MetricGroup(GEOMETRY, (f"width of {name}",), "factor", sums, bins.width, factor)
            for name, sums, bins in zip(
                ("bond lengths", "bond angles"), ("bond_errors", "angle_errors"), spaces.error_bins, strict=True
            )
        ),
        MetricGroup(SHAPE, ("RMSF, rms difference",), "Å", "fluctuation", rmsf, _rms_difference),
    ]
    if structure.pairs:
        names = ("contact probabilities, mean difference",)
        found.append(MetricGroup(SHAPE, names, "", "contacts", contact_probabilities, _mean_difference))
    return [group for group in found if group is not None] + _kinetic(spaces, lags, kinetics)


def _kinetic(spaces: Spaces, lags: Lags, kinetics: Kinetics) -> list[MetricGroup]:
    dimensions = min(PROCESSES, spaces.components)
    times = (*(f"t{n + 1}" for n in range(PROCESSES)), "passage to the smaller basin", "passage to the larger basin")

    def models(reference: MarkovModel | None, other: MarkovModel | None) -> Array:
        apart = factor(kinetics.times(reference), kinetics.times(other))
        return np.append(apart, transition_divergence(reference, other))

    def tic_time(sums: Array) -> Array:
        return np.array(integrated_time(np.array(lags.correlation), correlation_curve(sums)))

    def vamp_gap(reference: Array, other: Array) -> Array:
        return np.array(1.0 - vamp2(other, reference, dimensions) / vamp2(reference, reference, dimensions))

    def asymmetry(counts: Array) -> Array:
        return np.array(flux_asymmetry(counts[kinetics.place]))

    def of_other(_: object, other: Array | float) -> Array:
        return np.array(other)

    # One group of all that follows from a model, as estimating a model takes far longer than comparing two.
    units = ("factor",) * len(times) + ("nats",)
    outside, difference = "frames outside the connected states of MD", "autocorrelation of TIC1, rms difference"
    return [
        MetricGroup(MARKOV, (*times, "transition matrix"), units, "transitions", kinetics.model, models),
        MetricGroup(MARKOV, (outside,), "", "clusters", kinetics.outside, of_other),
        MetricGroup(KINETICS, ("autocorrelation time of TIC1",), "factor", "correlation", tic_time, factor),
        MetricGroup(KINETICS, (difference,), "", "correlation", correlation_curve, _rms_difference),
        MetricGroup(KINETICS, ("VAMP-2 gap",), "", "covariances", lambda sums: sums, vamp_gap),
        MetricGroup(KINETICS, ("flux asymmetry",), "", "transitions", asymmetry, of_other),
    ]


def correlation_curve(sums: Array) -> Array:
    """[L], autocorrelation at each lag, of sums [L, 6] of ``correlation.moments``."""
    return np.array([autocorrelation(row) for row in sums])


def _divergence(group: str, names: tuple[str, ...], sums: str) -> MetricGroup:
    return MetricGroup(group, names, "nats", sums, lambda counts: counts, js_divergence)


def _rms_difference(reference: Array, other: Array) -> Array:
    return np.sqrt(np.square(other - reference).mean(keepdims=True))


def _mean_difference(reference: Array, other: Array) -> Array:
    return np.abs(other - reference).mean(keepdims=True)


def _absolute_difference(reference: Array, other: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.abs(other - reference)
