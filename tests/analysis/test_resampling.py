"""Noise floor, comparison on equal terms and bootstrap, of processes that are the same or are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlff.analysis.blocks import Blocks, block_duration
from mlff.analysis.divergence import js_divergence
from mlff.analysis.measure import Measurement
from mlff.analysis.resampling import Halves, Metric, MetricGroup, Spread, compare

METRIC = MetricGroup("test", ("histogram",), "nats", "counts", lambda counts: counts, lambda a, b: js_divergence(a, b))
BINS = 25


def measured(counts: np.ndarray, frames: int = 100, trajectories: int | None = None) -> Measurement:
    """One block for each row of counts."""
    blocks = Blocks.of([frames] * len(counts), 1.0, float("inf"))
    if trajectories is not None:
        per = len(counts) // trajectories
        blocks = Blocks.of([frames * per] * trajectories, 1.0, float(frames))
    return Measurement(blocks, {"counts": counts}, (), np.zeros((0, 2)))


def draws(weights: np.ndarray, blocks: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multinomial(100, weights / weights.sum(), size=blocks).astype(np.float64)


def metric(reference: Measurement, generated: Measurement) -> Metric:
    rng = np.random.default_rng(0)
    halves = Halves.of(reference.blocks, generated.blocks, 40, rng)
    return compare(METRIC, reference, generated, {}, halves, 50, rng)[0]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.floats(0.5, 100), st.sampled_from([0.5, 1.0, 2.0]))
def test_blocks_hold_every_frame_once(lengths: list[int], duration: float, interval: float) -> None:
    blocks = Blocks.of(lengths, interval, duration)
    seen = [np.zeros(length, dtype=int) for length in lengths]
    for k, part in blocks.slices():
        seen[k][part] += 1
    assert all((count == 1).all() for count in seen)
    assert blocks.durations.sum() == pytest.approx(sum(lengths) * interval)
    assert len(blocks.trajectories) == len(blocks.durations) == sum(1 for _ in blocks.slices())
    values = [np.random.default_rng(0).normal(size=(length, 2)) for length in lengths]
    np.testing.assert_allclose(blocks.sums(values).sum(0), np.concatenate(values).sum(0), atol=1e-9)


def test_blocks_are_no_longer_than_asked() -> None:
    blocks = Blocks.of([1000, 300], 2.0, 500.0)
    assert blocks.durations.max() <= 500.0
    assert len(blocks.durations) == 4 + 2
    assert block_duration([1600.0, 3200.0], 16) == 100.0


def test_equal_processes_cannot_be_told_apart() -> None:
    weights = 1.0 + np.arange(BINS)
    found = metric(measured(draws(weights, 40, 1)), measured(draws(weights, 40, 2)))
    # both halves have 2000 draws: mean divergence (bins - 1) / 4n
    assert found.floor.median == pytest.approx((BINS - 1) / 8000, rel=0.25)
    assert found.ratio == pytest.approx(1.0, abs=0.35)
    assert found.value < found.floor.median
    assert found.floor.low <= found.floor.median <= found.floor.high


def test_different_processes_can() -> None:
    first, second = 1.0 + np.arange(BINS), 1.0 + np.arange(BINS)[::-1]
    found = metric(measured(draws(first, 40, 1)), measured(draws(second, 40, 2)))
    exact = float(js_divergence(first, second))
    assert found.ratio > 20
    assert found.value == pytest.approx(exact, rel=0.1)
    assert found.interval.low <= exact * 1.05
    assert found.interval.high >= exact * 0.95


def test_a_short_generated_ensemble_is_compared_with_as_short_a_rest_of_md() -> None:
    weights = np.ones(BINS)
    reference, short = measured(draws(weights, 40, 1)), measured(draws(weights, 4, 2))
    halves = Halves.of(reference.blocks, short.blocks, 20, np.random.default_rng(0))
    for first, second, part in halves.splits:
        assert len(first) == 20
        assert len(second) == len(part) == 4
        assert not set(first) & set(second)
    found = metric(reference, short)
    # 2000 draws against 400: (bins - 1) / 8 · (1 / 2000 + 1 / 400); four blocks are a single such sample
    assert found.floor.median == pytest.approx(3.0 * (1 / 2000 + 1 / 400), rel=0.25)
    assert 0.3 < found.ratio < 2.5


def test_trajectories_stay_together_where_there_are_enough() -> None:
    many = measured(draws(np.ones(BINS), 40, 1), trajectories=10)
    few = measured(draws(np.ones(BINS), 40, 1), trajectories=4)
    halves = Halves.of(many.blocks, few.blocks, 20, np.random.default_rng(0))
    owners = many.blocks.trajectories
    assert all(len(set(owners[first]) & set(owners[second])) == 0 for first, second, _ in halves.splits)
    owners = few.blocks.trajectories
    halves = Halves.of(few.blocks, many.blocks, 20, np.random.default_rng(0))
    assert any(len(set(owners[first]) & set(owners[second])) == 4 for first, second, _ in halves.splits)


def test_spread_counts_infinity_and_leaves_out_nan() -> None:
    spread = Spread.of(np.array([1.0, 2.0, np.inf, np.nan]))
    assert (spread.low, spread.median, spread.high) == (1.0, 2.0, np.inf)
    assert np.isnan(Spread.of(np.array([np.nan])).median)
