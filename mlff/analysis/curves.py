"""Curves over lag times, with bootstrap bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.analyse import Analysis
from mlff.analysis.correlation import integrated_time
from mlff.analysis.markov import MarkovModel, observed_survival
from mlff.analysis.measure import Measurement
from mlff.analysis.metrics import correlation_curve
from mlff.analysis.resampling import resampled_totals

Array = NDArray[np.float64]

_RESAMPLES = 20


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve [L] or several [L, n] over ``lags`` [L] in ps, with the ends of their 95 % bands."""

    lags: Array
    value: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Kinetic:
    """Curves of one ensemble.

    Attributes:
        timescales: [L,3] in ps, implied timescales at each lag, as ``Kinetics.timescales`` has them.
        autocorrelation: [L] of TIC1.
        relaxation: ps, integral of the autocorrelation.
        survival_lags: ps, multiples of the lag of the Markov model.
        observed, predicted: [S,2], probability to be in a basin again (Chapman-Kolmogorov test).
    """

    timescales: Curve
    autocorrelation: Curve
    relaxation: float
    survival_lags: Array
    observed: Array
    predicted: Array


def kinetic_curves(analysis: Analysis, measured: Measurement) -> Kinetic:
    """The curves of the reference or the generated ensemble."""
    rng = np.random.default_rng(analysis.settings.seed)
    lags = analysis.lags

    def timescales(counts: Array) -> Array:
        models = (MarkovModel.of(each, lag) for each, lag in zip(counts, lags.markov, strict=True))
        return np.array([analysis.kinetics.timescales(model) for model in models])

    def curve(name: str, times: tuple[float, ...], compute) -> Curve:  # type: ignore[no-untyped-def]
        resamples = resampled_totals(measured.sums[name], measured.blocks, _RESAMPLES, rng)
        rows = np.sort(np.array([compute(total) for total in resamples]), axis=0)
        cut = _RESAMPLES // 40
        return Curve(np.array(times), compute(measured.total(name)), rows[cut], rows[-1 - cut])

    correlation = curve("correlation", lags.correlation, correlation_curve)
    return Kinetic(
        timescales=curve("transitions", lags.markov, timescales),
        autocorrelation=correlation,
        relaxation=integrated_time(correlation.lags, correlation.value),
        **_chapman_kolmogorov(analysis, measured.total("transitions")),
    )


def _chapman_kolmogorov(analysis: Analysis, counts: Array) -> dict[str, Array]:
    kinetics, lags = analysis.kinetics, analysis.lags.markov
    ratios = [lag / kinetics.lag for lag in lags]
    places = [i for i, ratio in enumerate(ratios) if ratio > 0.5 and abs(ratio - round(ratio)) < 1e-6]
    steps = [round(ratios[i]) for i in places]
    model = MarkovModel.of(counts[kinetics.place], kinetics.lag)
    observed = predicted = np.full((2, len(places)), np.nan)
    if model is not None:
        predicted = np.array([model.survival(basin, steps) for basin in kinetics.basins])
        about = model.stationary, model.states
        observed = np.array(
            [[observed_survival(counts[i], basin, *about) for i in places] for basin in kinetics.basins]
        )
    return {"survival_lags": np.array(lags)[places], "observed": observed.T, "predicted": predicted.T}
