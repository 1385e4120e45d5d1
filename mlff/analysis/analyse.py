"""The whole analysis: from two ensembles to all metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.blocks import block_duration
from mlff.analysis.controls import controls as make_controls
from mlff.analysis.ensemble import Ensemble, in_order_of
from mlff.analysis.markov import MarkovModel, basins
from mlff.analysis.measure import Lags, Measurement, measure
from mlff.analysis.metrics import PROCESSES, Kinetics, metric_groups
from mlff.analysis.resampling import Halves, Metric, compare
from mlff.analysis.settings import AnalysisSettings
from mlff.analysis.spaces import Spaces
from mlff.analysis.structure import StructureSums
from mlff.support.errors import DataError

Array = NDArray[np.float64]
OnStep = Callable[[str, int, int], None]

_LOG = logging.getLogger(__name__)
_BLOCKS = 16
_FEWEST_FRAMES = 200
_FEWEST_LAGS = 3
_MULTIPLES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_MOST_LAGS = 7
_LONGEST_LAG = 0.2  # of the longest trajectory
_TICA_LAG = 10.0  # ps
_PLATEAU = 0.9  # of the largest value
_CORRELATION_LAGS = 40
_RESOLUTION = 10**6  # intervals are compared to 1e-6 ps


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that was found.

    Attributes:
        reference: the compared reference, thinned to the interval of the generated frames where that is a multiple.
        fitted: the reference that coordinates, clusters and geometry were fitted to.
        generated: as given.
        measured, generated_measured: their sums.
        control_totals: summed sums of the controls.
        thinning: every so many frames of the reference were used.
    """

    settings: AnalysisSettings
    reference: Ensemble
    fitted: Ensemble
    generated: Ensemble
    spaces: Spaces
    structure: StructureSums
    lags: Lags
    kinetics: Kinetics
    measured: Measurement
    generated_measured: Measurement
    control_totals: dict[str, dict[str, Array]]
    halves: Halves
    metrics: tuple[Metric, ...]
    thinning: int

    @property
    def caution(self) -> str:
        """What makes the comparison less than one with unseen MD; empty where nothing is known that does."""
        if not set(self.fitted.labels) & set(self.reference.labels):
            return ""
        words = "slow coordinates, clusters and mean geometry come from the same MD that is compared with"
        if self.reference.held_out:
            return words
        return (
            f"{words}, and the model may have been trained on it; give a data set with splits to compare with unseen MD"
        )

    def metric(self, name: str) -> Metric:
        """A metric by its name."""
        return next(metric for metric in self.metrics if metric.name == name)


def analyse(
    reference: Ensemble, generated: Ensemble, settings: AnalysisSettings | None = None, on_step: OnStep | None = None
) -> Analysis:
    """Compare generated trajectories with molecular dynamics.

    Coordinates, clusters and the mean geometry are fitted to the training trajectories of the reference, where splits
    are known, and the comparison is with its test trajectories (or all of them, see the settings); otherwise both is
    all of the reference.

    Args:
        on_step: called with what comes next, its number and how many there are.

    Raises:
        DataError: different molecules, too few frames, no common lag, unusable settings.
    """
    settings = settings or AnalysisSettings()
    generated = in_order_of(reference, generated)
    fitted, compared, thinning, lags = _comparable(reference, generated, settings)
    report = on_step or (lambda *_: None)
    steps = 7 if settings.controls else 4
    report("fitting slow coordinates and clusters", 0, steps)
    rng = np.random.default_rng(settings.seed)
    spaces = Spaces(fitted, compared, lags.tica, settings)
    structure = StructureSums(compared)
    duration = block_duration([e.frames * e.interval for e in (compared, generated)], _BLOCKS)
    report("measuring the reference", 1, steps)
    measured = measure(compared, spaces, structure, lags, duration)
    kinetics = choose_kinetics(measured.total("transitions"), lags, settings)
    report("measuring the generated frames", 2, steps)
    generated_measured = measure(generated, spaces, structure, lags, duration)
    totals: dict[str, dict[str, Array]] = {}
    for name, ensemble in make_controls(compared, generated.lengths, rng) if settings.controls else ():
        report(f"control: {name}", 3 + len(totals), steps)
        sums = measure(ensemble, spaces, structure, lags, float("inf"))
        totals[name] = {key: sums.total(key) for key in sums.sums}
    report("noise floor and bootstrap", steps - 1, steps)
    halves, found = Halves.of(measured.blocks, generated_measured.blocks, settings.splits, rng), []
    for group in metric_groups(spaces, structure, lags, kinetics):
        controls = {name: sums[group.sums] for name, sums in totals.items()}
        found += compare(group, measured, generated_measured, controls, halves, settings.bootstrap, rng)
    analysis = Analysis(
        settings=settings,
        reference=compared,
        fitted=fitted,
        generated=generated,
        spaces=spaces,
        structure=structure,
        lags=lags,
        kinetics=kinetics,
        measured=measured,
        generated_measured=generated_measured,
        control_totals=totals,
        halves=halves,
        metrics=tuple(found),
        thinning=thinning,
    )
    if analysis.caution:
        _LOG.warning("%s: %s", compared.name, analysis.caution)
    report("done", steps, steps)
    return analysis


def _comparable(
    reference: Ensemble, generated: Ensemble, settings: AnalysisSettings
) -> tuple[Ensemble, Ensemble, int, Lags]:
    """What is fitted, what is compared, every how many frames of the reference are used, and the lags."""
    for label, trajectory in zip(reference.labels, reference.trajectories, strict=True):
        if not np.isfinite(trajectory.xyz).all():
            raise DataError(f"{reference.name}: {label} holds coordinates that are no numbers")
    base = common_interval(reference.interval, generated.interval)
    thinning = round(base / reference.interval) if abs(base - generated.interval) < 1 / _RESOLUTION else 1
    fitted = reference.part("train") or reference
    compared = reference if settings.compare == "all" else reference.part("test") or fitted
    lags = choose_lags(base, (fitted, compared, generated), settings)
    fitted, compared = fitted.thinned(thinning), compared.thinned(thinning)
    for ensemble in (fitted, compared, generated):
        if ensemble.frames < _FEWEST_FRAMES:
            raise DataError(
                f"{ensemble.name}: {ensemble.frames} frames {ensemble.interval:g} ps apart are too few, at least "
                f"{_FEWEST_FRAMES} are needed"
            )
    return fitted, compared, thinning, lags


def common_interval(first: float, second: float) -> float:
    """The shortest time that is a whole number of both intervals, ps."""
    a, b = (Fraction(round(value * _RESOLUTION), _RESOLUTION) for value in (first, second))
    return float(Fraction(lcm(a.numerator, b.numerator), gcd(a.denominator, b.denominator)))


def choose_lags(base: float, ensembles: tuple[Ensemble, ...], settings: AnalysisSettings) -> Lags:
    """Lag times that all ensembles have.

    Args:
        base: ps, their common interval.

    Raises:
        DataError: a lag of the settings that is no multiple of it, or trajectories too short for three lags.
    """
    shortest = min(ensembles, key=_longest)
    longest = _LONGEST_LAG * _longest(shortest)
    intervals = f"intervals are {', '.join(f'{e.interval:g} ps in {e.name}' for e in dict.fromkeys(ensembles))}"
    chosen = tuple(base * multiple for multiple in _MULTIPLES if base * multiple <= longest)[:_MOST_LAGS]
    wanted = settings.lags or chosen
    for lag in (*wanted, *filter(None, (settings.tica_lag, settings.markov_lag))):
        if abs(round(lag / base) * base - lag) > 1 / _RESOLUTION or lag < base / 2:
            raise DataError(f"a lag of {lag:g} ps is no multiple of {base:g} ps, the common interval; {intervals}")
    markov = tuple(sorted(set(wanted)))
    if len(markov) < _FEWEST_LAGS or markov[-1] > _longest(shortest) / 2:
        raise DataError(
            f"no common range of lag times: three are needed in multiples of {base:g} ps, but the longest trajectory "
            f"of {shortest.name} has {_longest(shortest):g} ps; {intervals}"
        )
    if settings.markov_lag is not None and settings.markov_lag not in markov:
        markov = tuple(sorted({*markov, settings.markov_lag}))
    tica = settings.tica_lag or next((lag for lag in markov if lag >= _TICA_LAG), markov[-1])
    steps = np.unique(np.round(np.geomspace(1, max(2.0, longest / base), _CORRELATION_LAGS - 1)))
    return Lags(markov, tica, (0.0, *(float(step * base) for step in steps)))


def choose_kinetics(transitions: Array, lags: Lags, settings: AnalysisSettings) -> Kinetics:
    """The lag at which Markov models are compared: where the slowest timescale of the reference becomes constant.

    Args:
        transitions: [lags, clusters, clusters], counts of the reference.

    Raises:
        DataError: the reference has no connected states.
    """
    models = [MarkovModel.of(counts, lag) for counts, lag in zip(transitions, lags.markov, strict=True)]
    times = np.array([np.full(PROCESSES, np.nan) if model is None else model.timescales(PROCESSES) for model in models])
    if settings.markov_lag is not None:
        place = lags.markov.index(settings.markov_lag)
    else:
        place = _plateau(times[:, 0], np.array(lags.markov))
    model = models[place]
    if model is None:
        raise DataError("the reference never returns to where it was: no Markov model can be made of it")
    resolved = int((times[place] > lags.markov[place]).sum())
    return Kinetics(lags.markov[place], place, resolved, model.states, basins(model))


def _plateau(slowest: Array, lags: Array) -> int:
    """The place of the first lag where the slowest timescale is near its largest value.

    Args:
        slowest: [lags] in ps, nan where there is no model.
    """
    # Timescales rise with the lag until the clusters no longer matter. From half a timescale on, what is left of the
    # process drowns in the noise of the counts, and the largest of such estimates would be no plateau but chance.
    usable = np.isfinite(slowest) & (lags < slowest / 2)
    kept = np.where(usable, slowest, 0.0)
    if not usable.any():
        return int(np.argmax(np.isfinite(slowest)))
    return int(np.argmax(kept >= _PLATEAU * kept.max()))


def _longest(ensemble: Ensemble) -> float:
    """ps of the longest trajectory."""
    return max(ensemble.lengths) * ensemble.interval
