"""The figures that compare a generated ensemble with the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.equijump.analysis.correlation import autocorrelation, integrated_time, vamp2
from mlff.equijump.analysis.divergence import js_divergence
from mlff.equijump.analysis.markov import MarkovModel, factor, flux_asymmetry, transition_divergence
from mlff.equijump.analysis.measure import Lags
from mlff.equijump.analysis.resampling import Metric
from mlff.equijump.analysis.spaces import Spaces
from mlff.equijump.analysis.structure import StructureSums, contact_probabilities, rmsf

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

    def times(self, model: MarkovModel | None) -> Array:
        """[processes + 2] in ps: implied timescales, passage there and back; nan without a model."""
        if model is None:
            return np.full(PROCESSES + 2, np.nan)
        large, small = self.basins
        passage = model.passage_time(large, small), model.passage_time(small, large)
        return np.array([*model.timescales(PROCESSES), *passage])

    def compare(self, reference: MarkovModel | None, other: MarkovModel | None) -> Array:
        """[processes + 3], factors between times, then the divergence of transition matrices.

        Times are of processes among the states of the reference: where it has seen no return, it has nothing to compare
        with. What the other lacks remains missing.
        """
        known = None if reference is None or other is None else other.within(reference.states)
        times = factor(self.times(reference), self.times(known))
        return np.append(times, transition_divergence(reference, other))

    def outside(self, counts: Array) -> float:
        """The share of frames in clusters that the model of the reference does not have, of counts [n]."""
        return float(1.0 - counts[self.states].sum() / counts.sum())


def metrics(spaces: Spaces, structure: StructureSums, lags: Lags, kinetics: Kinetics) -> list[Metric]:
    """All metrics for a molecule."""

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
        Metric(SLOW, ("ΔG between the basins, difference",), "kT", "clusters", populations, _absolute_difference),
        _divergence(SIZE, ("radius of gyration", "end-to-end distance"), "sizes"),
        _divergence(GEOMETRY, ("bond lengths",), "bond_errors"),
        _divergence(GEOMETRY, ("bond angles",), "angle_errors"),
        Metric(SHAPE, ("RMSF, rms difference",), "Å", "fluctuation", rmsf, _rms_difference),
    ]
    if structure.pairs:
        names = ("contact probabilities, mean difference",)
        found.append(Metric(SHAPE, names, "", "contacts", contact_probabilities, _mean_difference))
    return [metric for metric in found if metric is not None] + _kinetic(spaces, lags, kinetics)


def _kinetic(spaces: Spaces, lags: Lags, kinetics: Kinetics) -> list[Metric]:
    dimensions = min(PROCESSES, spaces.components)
    times = (*(f"t{n + 1}" for n in range(PROCESSES)), "passage to the smaller basin", "passage to the larger basin")

    def tic_time(sums: Array) -> Array:
        return np.array(integrated_time(np.array(lags.correlation), correlation_curve(sums)))

    return [
        # One metric, as estimating a model takes far longer than comparing two.
        Metric(
            MARKOV,
            (*times, "transition matrix"),
            ("factor",) * len(times) + ("nats",),
            "transitions",
            kinetics.model,
            kinetics.compare,
        ),
        Metric(
            MARKOV,
            ("frames in states that MD does not return from",),
            "",
            "clusters",
            kinetics.outside,
            lambda _, other: np.array(other),
        ),
        Metric(KINETICS, ("autocorrelation time of TIC1",), "factor", "correlation", tic_time, factor),
        Metric(
            KINETICS,
            ("autocorrelation of TIC1, rms difference",),
            "",
            "correlation",
            correlation_curve,
            _rms_difference,
        ),
        Metric(
            KINETICS,
            ("VAMP-2 gap",),
            "",
            "covariances",
            lambda sums: sums,
            lambda reference, other: np.array(
                1.0 - vamp2(other, reference, dimensions) / vamp2(reference, reference, dimensions)
            ),
        ),
        Metric(
            KINETICS,
            ("flux asymmetry",),
            "",
            "transitions",
            lambda counts: np.array(flux_asymmetry(counts[kinetics.place])),
            lambda _, other: other,
        ),
    ]


def correlation_curve(sums: Array) -> Array:
    """[L], autocorrelation at each lag, of sums [L, 6] of ``correlation.moments``."""
    return np.array([autocorrelation(row) for row in sums])


def _divergence(group: str, names: tuple[str, ...], sums: str) -> Metric:
    return Metric(group, names, "nats", sums, lambda counts: counts, js_divergence)


def _rms_difference(reference: Array, other: Array) -> Array:
    return np.sqrt(np.square(other - reference).mean(keepdims=True))


def _mean_difference(reference: Array, other: Array) -> Array:
    return np.abs(other - reference).mean(keepdims=True)


def _absolute_difference(reference: Array, other: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.abs(other - reference)
