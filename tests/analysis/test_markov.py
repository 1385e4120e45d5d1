"""Markov models of chains whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.analysis.markov import (
    MarkovModel,
    basins,
    factor,
    flux_asymmetry,
    observed_survival,
    transition_counts,
    transition_divergence,
)
from mlff.analysis.metrics import Kinetics


def reversible_chain(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Transition matrix and stationary distribution of a random chain in detailed balance."""
    flux = rng.random((size, size)) ** 4 + np.diag(5 * rng.random(size))
    flux = flux + flux.T
    return flux / flux.sum(1, keepdims=True), flux.sum(1) / flux.sum()


def walk(transitions: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
    cumulated, state, states = transitions.cumsum(1), 0, np.empty(steps, dtype=np.int64)
    for i, draw in enumerate(rng.random(steps)):
        states[i] = state
        state = min(int(np.searchsorted(cumulated[state], draw)), len(transitions) - 1)
    return states


@given(st.integers(2, 6), st.integers(0, 10_000))
@settings(max_examples=20)
def test_exact_fluxes_give_the_chain_back(size: int, seed: int) -> None:
    transitions, stationary = reversible_chain(size, np.random.default_rng(seed))
    model = MarkovModel.of(1e6 * stationary[:, None] * transitions, lag=5.0)
    assert model is not None
    np.testing.assert_allclose(model.transitions, transitions, atol=1e-5)
    values = np.sort(np.abs(np.linalg.eigvals(transitions).real))[::-1][1:3]
    np.testing.assert_allclose(model.timescales(3)[: len(values)], -5.0 / np.log(values), rtol=1e-3)
    # Chapman-Kolmogorov holds exactly for a Markov chain.
    large, _ = basins(model)
    twice = 1e6 * stationary[:, None] * (transitions @ transitions)
    observed = observed_survival(twice, large, model.stationary, model.states)
    assert observed == pytest.approx(model.survival(large, [2])[0], abs=1e-5)


def test_a_simulated_chain_has_its_timescales() -> None:
    transitions = np.array([[0.97, 0.02, 0.01], [0.03, 0.95, 0.02], [0.005, 0.005, 0.99]])
    flux = (lambda pi: pi[:, None] * transitions)(_stationary(transitions))
    transitions = (flux + flux.T) / (flux + flux.T).sum(1, keepdims=True)
    states = walk(transitions, 200_000, np.random.default_rng(1))
    exact = -1 / np.log(np.sort(np.linalg.eigvals(transitions).real)[::-1][1:])
    for lag in (1, 5):
        model = MarkovModel.of(transition_counts(states, lag, 3, slice(None)), float(lag))
        assert model is not None
        np.testing.assert_allclose(model.timescales(2), exact, rtol=0.1)


def test_passage_times_of_two_states_are_inverse_rates() -> None:
    counts = np.array([[98.0, 2.0], [2.0, 38.0]])
    model = MarkovModel.of(counts, lag=2.0)
    assert model is not None
    first, second = np.array([0]), np.array([1])
    assert model.passage_time(first, second) == pytest.approx(2.0 / 0.02, rel=1e-6)
    assert model.passage_time(second, first) == pytest.approx(2.0 / 0.05, rel=1e-6)
    assert np.isnan(model.passage_time(first, np.array([7])))
    large, small = basins(model)
    assert large.tolist() == [0]
    assert small.tolist() == [1]


def test_only_connected_states_make_a_model() -> None:
    counts = np.zeros((5, 5))
    counts[1:3, 1:3] = [[9, 1], [1, 9]]
    counts[0, 1] = 1  # never returned to
    model = MarkovModel.of(counts, 1.0)
    assert model is not None
    assert model.states.tolist() == [1, 2]
    assert MarkovModel.of(np.diag([5.0, 3.0]), 1.0) is None
    assert MarkovModel.of(np.zeros((3, 3)), 1.0) is None


@given(st.integers(3, 7), st.integers(2, 5), st.integers(0, 10_000))
@settings(max_examples=20)
def test_a_watched_walker_keeps_detailed_balance(size: int, kept: int, seed: int) -> None:
    transitions, stationary = reversible_chain(size, np.random.default_rng(seed))
    whole = MarkovModel(transitions, stationary, 10 + np.arange(size), 1.0)
    part = whole.within(10 + np.arange(kept))
    assert part is not None
    if kept >= size:
        assert part is whole
        return
    flux = part.stationary[:, None] * part.transitions
    np.testing.assert_allclose(flux, flux.T, atol=1e-14)
    np.testing.assert_allclose(part.transitions.sum(1), 1.0)
    np.testing.assert_allclose(part.stationary, stationary[:kept] / stationary[:kept].sum())
    assert whole.within(np.array([10])) is None
    assert whole.within(np.array([7])) is None


def test_a_watched_walker_moves_as_a_trajectory_without_the_other_states() -> None:
    """0 and 1 meet only by way of 2."""
    transitions = np.array([[0.8, 0.0, 0.2], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4]])
    stationary = np.array([3.0, 6.0, 2.0]) / 11
    part = MarkovModel(transitions, stationary, np.arange(3), 1.0).within(np.array([0, 1]))
    assert part is not None
    # from 2 it goes either way with the same probability
    np.testing.assert_allclose(part.transitions, [[0.9, 0.1], [0.05, 0.95]])
    states = walk(transitions, 200_000, np.random.default_rng(3))
    seen = transition_counts(states[states < 2], 1, 2, slice(None))
    np.testing.assert_allclose(part.transitions, seen / seen.sum(1, keepdims=True), atol=0.005)


def kinetics_of(model: MarkovModel) -> Kinetics:
    return Kinetics(model.lag, 0, 3, model.states, basins(model))


def test_processes_that_the_reference_never_saw_are_not_compared() -> None:
    """Two pairs of basins; MD left a fifth once and never came back, the rollouts go there and return, rarely."""
    slow, fast = 10.0, 100.0
    counts = np.array(
        [
            [900, fast, slow, 0, 0],
            [fast, 900, 0, slow, 0],
            [slow, 0, 900, 2 * fast, 0],
            [0, slow, 2 * fast, 900, 0],
            [1, 0, 0, 0, 200],
        ]
    )
    reference = MarkovModel.of(counts, 1.0)
    back = np.zeros((5, 5))
    back[0, 4] = 1
    rollouts = MarkovModel.of(10 * counts + 9 * back, 1.0)
    assert reference is not None
    assert rollouts is not None
    kinetics = kinetics_of(reference)
    assert rollouts.timescales(1) / reference.timescales(1) > 3
    np.testing.assert_allclose(kinetics.times(rollouts), kinetics.times(reference), rtol=0.01)
    assert kinetics.outside(counts.sum(1)) == pytest.approx(201 / counts.sum())
    # The other way round something is missing and stays so, and the others keep their places.
    whole = kinetics_of(rollouts)
    known, lacking = whole.times(rollouts), whole.times(reference)
    assert np.isnan(lacking[[0, 3, 4]]).all()
    np.testing.assert_allclose(lacking[1:3], known[1:3], rtol=0.03)
    assert np.isnan(kinetics.times(None)).all()


def test_transitions_of_blocks_add_up_to_those_of_the_whole() -> None:
    states = np.random.default_rng(0).integers(4, size=100)
    whole = transition_counts(states, 7, 4, slice(None))
    parts = [transition_counts(states, 7, 4, slice(a, a + 25)) for a in range(0, 100, 25)]
    np.testing.assert_array_equal(np.sum(parts, axis=0), whole)
    assert whole.sum() == 93
    assert transition_counts(states[:5], 7, 4, slice(None)).sum() == 0


def test_flux_asymmetry_of_a_ring() -> None:
    """A ring that is always walked the same way has no backward flux; in detailed balance there is none too many."""
    ring = np.roll(np.eye(4), 1, axis=1)
    assert flux_asymmetry(10 * ring) == pytest.approx(2.0)
    assert flux_asymmetry(10 * (0.75 * ring + 0.25 * ring.T)) == pytest.approx(1.0)
    assert flux_asymmetry(ring + ring.T) == 0.0
    assert np.isnan(flux_asymmetry(np.zeros((2, 2))))


def model_of(transitions: list[list[float]], stationary: list[float]) -> MarkovModel:
    return MarkovModel(np.array(transitions), np.array(stationary), np.arange(len(stationary)), 1.0)


def test_divergence_of_two_state_chains_is_that_of_four_entropies() -> None:
    """Equal populations 2 : 1, everything twice as fast: populations do not tell, rows of the matrices do."""

    def entropy(p: float) -> float:
        return float(-p * np.log(p) - (1 - p) * np.log(1 - p))

    slow, fast = model_of([[0.9, 0.1], [0.2, 0.8]], [2 / 3, 1 / 3]), model_of([[0.8, 0.2], [0.4, 0.6]], [2 / 3, 1 / 3])
    rows = [entropy((a + 2 * a) / 2) - (entropy(a) + entropy(2 * a)) / 2 for a in (0.1, 0.2)]
    assert transition_divergence(slow, fast) == pytest.approx(2 / 3 * rows[0] + 1 / 3 * rows[1])
    assert transition_divergence(slow, slow) == 0.0
    # The weights are those of the reference, the divergence of a row does not depend on the order.
    skewed = MarkovModel(fast.transitions, np.array([0.5, 0.5]), fast.states, 1.0)
    assert transition_divergence(skewed, slow) == pytest.approx((rows[0] + rows[1]) / 2)


def test_states_that_are_never_visited_count_as_wrong_as_can_be() -> None:
    whole = model_of([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [0.5, 0.3, 0.2])
    lost = MarkovModel(np.eye(2), np.array([0.5, 0.5]), np.array([3, 4]), 1.0)  # never anywhere the reference is
    assert transition_divergence(whole, lost) == pytest.approx(np.log(2))
    assert transition_divergence(whole, None) == pytest.approx(np.log(2))
    assert np.isnan(transition_divergence(None, whole))
    half = MarkovModel(whole.transitions[:2, :2] / 0.9, np.array([0.5, 0.5]), np.array([0, 1]), 1.0)
    # Two rows without the third state, 10 % of which goes there: the divergence of (1 - q, q) from (1, 0) at q = 0.1.
    row = (np.log(2 / 2) - 0.9 * np.log(0.95) - 0.1 * np.log(0.05) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)) / 2
    row += -np.log(0.95) / 2
    assert transition_divergence(whole, half) == pytest.approx(0.8 * row + 0.2 * np.log(2))


def test_factor_is_symmetric_and_infinite_where_something_is_missing() -> None:
    values = factor(np.array([2.0, 8.0, 1.0, np.nan]), np.array([4.0, 4.0, np.nan, 1.0]))
    np.testing.assert_allclose(values, [2.0, 2.0, np.inf, np.inf])


def _stationary(transitions: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(transitions.T)
    vector = vectors[:, values.real.argmax()].real
    return vector / vector.sum()
