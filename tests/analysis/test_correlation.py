"""Autocorrelation and VAMP-2 of Ornstein-Uhlenbeck processes, where both are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from mlff.analysis.correlation import autocorrelation, covariances, integrated_time, moments, vamp2

DECAYS = np.array([0.95, 0.8, 0.3])


def processes(seed: int, frames: int = 100_000, decays: np.ndarray = DECAYS) -> np.ndarray:
    """[frames, K], independent processes x' = a x + √(1 - a²) ξ of variance one."""
    noise = np.random.default_rng(seed).normal(size=(frames, len(decays)))
    return np.stack(
        [lfilter([np.sqrt(1 - a * a)], [1, -a], column) for a, column in zip(decays, noise.T, strict=True)], 1
    )


def total(series: np.ndarray, lag: int) -> np.ndarray:
    return moments(series, lag).sum(0)


def test_the_autocorrelation_decays_as_it_should() -> None:
    slow = processes(0)[:, :1]
    lags = np.arange(0, 80)
    values = np.array([autocorrelation(total(slow, lag)) for lag in lags])
    np.testing.assert_allclose(values, 0.95**lags, atol=0.06)
    assert values[0] == pytest.approx(1.0)
    assert integrated_time(lags.astype(float), values) == pytest.approx(-1 / np.log(0.95), rel=0.15)


def test_sums_do_not_depend_on_where_the_series_is_cut() -> None:
    series = processes(1, 1000)
    rows = moments(series, 10)
    xx, xy, yy = covariances(rows[:300].sum(0) + rows[300:].sum(0))
    x, y = series[:-10], series[10:]
    joint = np.cov(np.concatenate([x, y], axis=1).T, bias=True)
    np.testing.assert_allclose(np.block([[xx, xy], [xy.T, yy]]), joint, atol=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_vamp_2_is_one_plus_squared_decays(dimensions: int) -> None:
    """The singular values of the Koopman operator in this space are the decays over one step."""
    mixed = processes(2) @ np.array([[1.0, 0.5, 0.0], [0.3, -1.0, 2.0], [0.0, 0.2, 1.0]])
    score = vamp2(total(mixed, 1), total(mixed, 1), dimensions)
    assert score == pytest.approx(1 + np.square(DECAYS[:dimensions]).sum(), abs=0.02)


def test_vamp_2_agrees_with_deeptime() -> None:
    from deeptime.decomposition import VAMP

    train, test = processes(3, 5000), processes(4, 5000)
    model, other = (
        VAMP(lagtime=2, epsilon=1e-12, observable_transform=lambda x: x).fit(d).fetch_model() for d in (train, test)
    )
    expected = model.score(2, test_model=other, dim=2)
    # deeptime counts the constant function only where it removes the mean, which it does
    assert vamp2(total(train, 2), total(test, 2), 2) == pytest.approx(expected, rel=1e-3)


def test_wrong_slow_directions_score_less() -> None:
    right, wrong = processes(5), processes(6, decays=DECAYS[::-1])
    best = vamp2(total(right, 1), total(right, 1), 1)
    assert vamp2(total(wrong, 1), total(right, 1), 1) < best - 0.5
    shuffled = np.random.default_rng(0).permutation(right)
    assert vamp2(total(shuffled, 1), total(shuffled, 1), 3) == pytest.approx(1.0, abs=0.01)


def test_what_stands_still_has_no_correlation() -> None:
    still = np.full((100, 1), 1.7)
    assert np.isnan(autocorrelation(total(still, 1)))
    assert np.isnan(autocorrelation(total(still, 200)))
    assert np.isnan(integrated_time(np.array([0.0, 1.0]), np.array([np.nan, np.nan])))
    assert np.isnan(vamp2(total(still, 200), total(still, 1), 1))
