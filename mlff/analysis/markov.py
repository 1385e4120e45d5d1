"""Markov state models from transition counts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.divergence import js_divergence

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def transition_counts(states: Integers, lag: int, clusters: int, frames: slice) -> Array:
    """[clusters, clusters], transitions over ``lag`` frames from these frames of a trajectory [F] of states."""
    begin = np.arange(len(states))[frames]
    begin = begin[begin + lag < len(states)]
    flat = np.bincount(states[begin] * clusters + states[begin + lag], minlength=clusters * clusters)
    return flat.reshape(clusters, clusters).astype(np.float64)


@dataclass(frozen=True, eq=False)
class MarkovModel:
    """A reversible Markov model on the largest set of states that are all reached from each other.

    Attributes:
        transitions: [n,n], row-stochastic.
        stationary: [n].
        states: [n], the clusters.
        lag: in any unit of time, that of the results.
    """

    transitions: Array
    stationary: Array
    states: Integers
    lag: float

    @staticmethod
    def of(counts: Array, lag: float) -> MarkovModel | None:
        """The most likely reversible model of transition counts [clusters, clusters]; None without transitions.

        Prinz et al., J. Chem. Phys. 134, 174105 (2011), by deeptime.
        """
        from deeptime.markov.msm import MaximumLikelihoodMSM
        from scipy.sparse.csgraph import connected_components

        labels = connected_components(counts, directed=True, connection="strong")[1]
        states = np.flatnonzero(labels == np.bincount(labels, weights=counts.sum(1)).argmax())
        connected = counts[np.ix_(states, states)]
        if len(states) < 2:
            return None
        estimator = MaximumLikelihoodMSM(reversible=True, maxiter=10_000, maxerr=1e-8)
        with warnings.catch_warnings():
            # A model that has not quite converged is still the best there is; its error is far below the sampling's.
            warnings.simplefilter("ignore")
            model = estimator.fit_from_counts(connected).fetch_model()
        return MarkovModel(np.asarray(model.transition_matrix), np.asarray(model.stationary_distribution), states, lag)

    def within(self, clusters: Integers) -> MarkovModel | None:
        """The model of a walker that is watched only while it is in these clusters; None of fewer than two.

        A way out and back becomes a step from where it left to where it returns. Also reversible, with populations in
        the same proportions (Meyer, SIAM Rev. 31, 240 (1989): the stochastic complement).
        """
        inside = np.isin(self.states, clusters)
        if inside.all():
            return self
        if inside.sum() < 2:
            return None
        kept, left = np.flatnonzero(inside), np.flatnonzero(~inside)
        stay, leave = self.transitions[np.ix_(kept, kept)], self.transitions[np.ix_(kept, left)]
        back, away = self.transitions[np.ix_(left, kept)], self.transitions[np.ix_(left, left)]
        transitions = stay + leave @ np.linalg.solve(np.eye(len(left)) - away, back)
        stationary = self.stationary[kept]
        return MarkovModel(transitions, stationary / stationary.sum(), self.states[kept], self.lag)

    def timescales(self, number: int) -> Array:
        """[number], the slowest implied timescales -lag / ln|λ|; nan where the model has no more."""
        values = np.sort(np.abs(np.linalg.eigvalsh(self.symmetric())))[::-1][1 : number + 1]
        times = np.full(number, np.nan)
        with np.errstate(divide="ignore"):
            times[: len(values)] = -self.lag / np.log(np.clip(values, 0.0, 1.0 - 1e-15))
        return times

    def symmetric(self) -> Array:
        """[n,n], similar to the transition matrix, and symmetric as the model is reversible."""
        root = np.sqrt(self.stationary)
        symmetric = self.transitions * root[:, None] / root[None, :]
        return (symmetric + symmetric.T) / 2

    def over(self, clusters: int) -> Array:
        """[clusters, clusters], the transition matrix over all clusters; rows of those outside of the model are 0."""
        matrix = np.zeros((clusters, clusters))
        matrix[np.ix_(self.states, self.states)] = self.transitions
        return matrix

    def passage_time(self, source: Integers, target: Integers) -> float:
        """Mean first passage time from clusters to others; nan if the model lacks either."""
        begin, end = np.isin(self.states, source), np.isin(self.states, target)
        if not begin.any() or not end.any():
            return float("nan")
        outside = ~end
        matrix = np.eye(int(outside.sum())) - self.transitions[np.ix_(outside, outside)]
        times = np.zeros(len(self.states))
        times[outside] = np.linalg.solve(matrix, np.ones(len(matrix))) * self.lag
        weights = self.stationary * begin
        return float((weights * times).sum() / weights.sum())

    def survival(self, clusters: Integers, steps: Sequence[int]) -> Array:
        """Probability to be in the clusters again after each number of steps, having begun there in equilibrium."""
        inside = np.isin(self.states, clusters)
        start = self.stationary * inside
        if not inside.any():
            return np.full(len(steps), np.nan)
        powers = (np.linalg.matrix_power(self.transitions, step) for step in steps)
        return np.array([(start @ power)[inside].sum() / start.sum() for power in powers])


def observed_survival(counts: Array, clusters: Integers, stationary: Array, states: Integers) -> float:
    """Probability to be in the clusters after one lag, directly from counts, started in equilibrium; nan if unseen.

    Args:
        counts: [clusters, clusters] at the lag.
        stationary: [n], weights of the clusters ``states`` [n].
    """
    weights = np.zeros(len(counts))
    weights[states] = stationary
    leaving = counts.sum(1)
    begun = [c for c in clusters if weights[c] > 0 and leaving[c] > 0]
    if not begun:
        return float("nan")
    stays = counts[np.ix_(begun, clusters)].sum(1) / leaving[begun]
    return float((weights[begun] * stays).sum() / weights[begun].sum())


def basins(model: MarkovModel) -> tuple[Integers, Integers]:
    """The clusters on either side of the slowest process (signs of its eigenvector), the larger side first."""
    values, vectors = np.linalg.eigh(model.symmetric())
    slowest = vectors[:, np.argsort(values)[-2]] / np.sqrt(model.stationary)
    side = slowest > 0
    if model.stationary[side].sum() < 0.5:
        side = ~side
    return model.states[side], model.states[~side]


def flux_asymmetry(counts: Array) -> float:
    """‖F - Fᵀ‖₁ of the fluxes F = counts / total: 0 in detailed balance, at most 2; nan without counts."""
    if not counts.sum() > 0:
        return float("nan")
    flux = counts / counts.sum()
    return float(np.abs(flux - flux.T).sum())


def transition_divergence(reference: MarkovModel | None, other: MarkovModel | None) -> float:
    """Mean Jensen-Shannon divergence in nats between the rows of two transition matrices over the same clusters.

    Rows are weighted by the stationary distribution of the reference. A row that the other model does not have counts
    ln 2, the largest divergence: nothing is known of where it would lead. nan without a reference.
    """
    if reference is None:
        return float("nan")
    if other is None:
        return float(np.log(2))
    clusters = 1 + int(max(reference.states.max(), other.states.max()))
    p, q = (model.over(clusters)[reference.states] for model in (reference, other))
    rows = js_divergence(p, q)
    return float(reference.stationary @ np.where(np.isnan(rows), np.log(2), rows))


def factor(reference: Array, value: Array) -> Array:
    """By which factor positive numbers differ, ≥ 1 whichever is larger; infinite where one is missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.exp(np.abs(np.log(value / reference)))
    return np.where(np.isfinite(apart), apart, np.inf)
