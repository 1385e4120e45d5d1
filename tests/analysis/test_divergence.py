"""The Jensen-Shannon divergence against values known without it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import quad
from scipy.stats import norm

from mlff.analysis.divergence import Binning, free_energy, js_divergence

weights = hnp.arrays(np.float64, 20, elements=st.floats(0, 100)).filter(lambda p: p.sum() > 1e-3)


@given(weights, weights)
def test_bounds_and_symmetry(p: np.ndarray, q: np.ndarray) -> None:
    value = js_divergence(p, q)
    assert 0 <= value <= np.log(2) + 1e-12
    assert value == pytest.approx(js_divergence(q, p), abs=1e-12)
    assert js_divergence(p, 3.5 * p) == pytest.approx(0, abs=1e-12)


def test_disjoint_distributions_are_ln_2_apart() -> None:
    assert js_divergence(np.array([1.0, 3.0, 0.0, 0.0]), np.array([0.0, 0.0, 2.0, 2.0])) == pytest.approx(np.log(2))


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
def test_two_gaussians(shift: float) -> None:
    """Finely binned Gaussians against the integral over their densities."""

    def integrand(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x - shift)
        return 0.5 * (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)))

    edges = np.linspace(-8, 8 + shift, 2001)
    binned = js_divergence(np.diff(norm.cdf(edges)), np.diff(norm.cdf(edges - shift)))
    assert binned == pytest.approx(quad(integrand, -8, 8 + shift)[0], rel=1e-4)


def test_samples_of_one_gaussian_have_the_divergence_of_their_noise() -> None:
    """Of n independent samples each in b bins, the mean divergence is (b - 1) / 4n, from its expansion as χ²."""
    rng = np.random.default_rng(0)
    bins, samples = 20, 2000
    counts = rng.multinomial(samples, np.full(bins, 1 / bins), size=400).astype(np.float64)
    values = js_divergence(counts[::2], counts[1::2])
    assert values.mean() == pytest.approx((bins - 1) / (4 * samples), rel=0.1)


@given(hnp.arrays(np.float64, (30, 2), elements=st.floats(-20, 20) | st.just(np.nan) | st.just(np.inf)))
def test_no_value_is_lost(values: np.ndarray) -> None:
    bins = Binning.regular((-1.0, 1.0, 7), (0.0, 3.0, 5))
    codes = bins.codes(values)
    counts = np.bincount(codes, minlength=bins.size)
    assert len(counts) == bins.size
    assert counts.sum() == len(values)
    inside = (np.abs(values[:, 0] + 1e-12) < 1 - 1e-9) & (values[:, 1] >= 0) & (values[:, 1] < 3)
    assert bins.inner(counts).sum() >= inside.sum()


def test_bins_are_where_they_should_be() -> None:
    bins = Binning.regular((0.0, 1.0, 2), (0.0, 1.0, 2))
    counts = np.bincount(bins.codes(np.array([[0.1, 0.9], [0.6, 0.2], [0.7, 0.3]])), minlength=bins.size)
    np.testing.assert_array_equal(bins.inner(counts), [[0, 1], [2, 0]])


def test_free_energy_of_two_bins() -> None:
    energy = free_energy(np.array([2.0, 1.0, 0.0]))
    np.testing.assert_allclose(energy[:2], [0.0, np.log(2)])
    assert np.isnan(energy[2])


def test_the_width_is_the_standard_deviation_without_outliers() -> None:
    bins = Binning.regular((-0.3, 0.3, 120))
    draws = np.random.default_rng(0).normal(0.01, 0.03, 50_000)
    counts = np.bincount(bins.codes(np.append(draws, [5.0, -5.0, np.nan])[:, None]), minlength=bins.size).astype(float)
    assert bins.width(counts) == pytest.approx(0.03, rel=0.02)
    assert bins.width(np.stack([counts, 2 * counts])) == pytest.approx(0.03, rel=0.02)
    assert np.isnan(bins.width(np.zeros(bins.size)))
