"""Radial bases and envelope against their formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlff.graph import BesselBasis, GaussianBasis, PolynomialEnvelope


def test_gaussian_formula():
    basis = GaussianBasis(num_basis=13, cutoff=6.0)
    d = np.linspace(0.0, 7.0, 29)
    mu = np.linspace(0.0, 6.0, 13)
    expected = np.exp(-0.5 * ((d[:, None] - mu) / (2.0 * 0.5)) ** 2)
    np.testing.assert_allclose(basis(torch.tensor(d)).numpy(), expected, rtol=1e-13)


def test_gaussian_width_is_a_standard_deviation():
    """One spacing from a centre, width 1: exp(-1/2); the neighbouring function is at its maximum."""
    values = GaussianBasis(5, 4.0, width=1.0)(torch.tensor([2.0], dtype=torch.float64))[0]
    np.testing.assert_allclose(values.numpy(), np.exp(-0.5 * np.array([4.0, 1.0, 0.0, 1.0, 4.0])))


def test_bessel_formula():
    basis = BesselBasis(num_basis=8, cutoff=5.0)
    d = np.linspace(0.01, 5.0, 401)
    n = np.arange(1, 9)
    expected = math.sqrt(2 / 5.0) * np.sin(n * np.pi * d[:, None] / 5.0) / d[:, None]
    np.testing.assert_allclose(basis(torch.tensor(d)).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_bessel_is_orthonormal():
    """Radial functions of a spherical well: the integral of f_m f_n d^2 over [0, cutoff] is delta_mn."""
    d = (torch.arange(20000, dtype=torch.float64) + 0.5) * (4.0 / 20000)
    values = BesselBasis(6, 4.0)(d)
    overlap = torch.einsum("dm,dn,d->mn", values, values, d**2) * (4.0 / 20000)
    np.testing.assert_allclose(overlap.numpy(), np.eye(6), atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bessel_small_distances(dtype):
    """Value sqrt(2/rc) k, slope 0 and curvature -sqrt(2/rc) k^3 / 3 at zero, smooth up to where sin takes over."""
    basis = BesselBasis(4, 5.0)
    k = torch.arange(1, 5, dtype=torch.float64) * math.pi / 5.0
    for distance in (0.0, 1e-30, 1e-12, 1e-7, 1e-4):
        for n in range(4):
            d = torch.tensor([distance], dtype=dtype, requires_grad=True)
            value = basis(d)[0, n]
            (slope,) = torch.autograd.grad(value, d, create_graph=True)
            (curvature,) = torch.autograd.grad(slope, d)
            third = -math.sqrt(0.4) * float(k[n]) ** 3 / 3
            assert value.item() == pytest.approx(math.sqrt(0.4) * float(k[n]), rel=1e-6)
            assert slope.item() == pytest.approx(third * distance, rel=1e-4, abs=1e-12)
            assert curvature.item() == pytest.approx(third, rel=1e-4)


@given(st.floats(1e-3, 4.999))
def test_bessel_derivatives(distance):
    """First and second derivative equal the closed form, on both sides of the switch of the series."""
    basis, cutoff = BesselBasis(3, 5.0), 5.0
    for n in range(3):
        k = (n + 1) * math.pi / cutoff
        d = torch.tensor([distance], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(basis(d)[0, n], d, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, d)
        z, c = k * distance, math.sqrt(2 / cutoff)
        # j0' = cos z / z - sin z / z^2 and j0'' = -j0 - 2 j0' / z, in a form free of cancellation for small z
        if z < 0.05:
            first, second = -z / 3 + z**3 / 30, -1 / 3 + z**2 / 10 - z**4 / 168
        else:
            first = math.cos(z) / z - math.sin(z) / z**2
            second = -math.sin(z) / z - 2 * first / z
        assert slope.item() == pytest.approx(c * k**2 * first, rel=1e-6, abs=1e-10)
        assert curvature.item() == pytest.approx(c * k**3 * second, rel=1e-6, abs=1e-10)


def test_envelope_formula():
    x = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)
    np.testing.assert_allclose(
        PolynomialEnvelope()(x).numpy(), (1 - 21 * x**5 + 35 * x**6 - 15 * x**7).numpy(), atol=1e-13
    )
    for p in (2, 3, 6, 8):
        expected = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
        np.testing.assert_allclose(PolynomialEnvelope(p)(x).numpy(), expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("exponent", [2, 5, 6])
def test_envelope_and_two_derivatives_continuous_at_cutoff(exponent):
    envelope = PolynomialEnvelope(exponent)

    def derivatives(at):
        x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        value = envelope(x)
        (first,) = torch.autograd.grad(value, x, create_graph=True)
        (second,) = torch.autograd.grad(first, x)
        return value.item(), first.item(), second.item()

    assert derivatives(1.0) == pytest.approx((0.0, 0.0, 0.0), abs=1e-15)
    step = 1e-5
    value, first, second = derivatives(1.0 - step)
    third = exponent * (exponent + 1) * (exponent + 2)  # u''' at 1 is -p (p+1) (p+2)
    assert value == pytest.approx(third * step**3 / 6, rel=1e-3)
    assert first == pytest.approx(-third * step**2 / 2, rel=1e-3)
    assert second == pytest.approx(third * step, rel=1e-3)
    assert derivatives(0.0)[:2] == (1.0, 0.0)


@given(st.floats(1.0, 1e30))
def test_envelope_exactly_zero_beyond(x):
    for dtype in (torch.float32, torch.float64):
        value = torch.tensor([x, 1.0, float("inf")], dtype=dtype)
        assert PolynomialEnvelope()(value).tolist() == [0.0, 0.0, 0.0]


def test_envelope_between_zero_and_one_and_monotonic():
    """Also in float32 just below the cutoff, where the expanded polynomial turns negative."""
    x = torch.linspace(0.9, 1.0, 20001)
    values = PolynomialEnvelope()(x)
    assert (values >= 0).all()
    assert (values[:-1] > 0).all()
    assert (PolynomialEnvelope()(torch.linspace(0, 1, 1001, dtype=torch.float64)).diff() <= 0).all()


@pytest.mark.parametrize("module", [GaussianBasis(7, 5.0), BesselBasis(7, 5.0), PolynomialEnvelope()])
def test_scripted_equals_eager_in_the_dtype_of_the_input(module, tmp_path):
    scripted = torch.jit.script(module)
    scripted.save(tmp_path / "module.pt")
    loaded = torch.jit.load(tmp_path / "module.pt")
    for dtype in (torch.float32, torch.float64):
        d = torch.tensor([0.0, 1e-9, 0.3, 0.99, 1.0, 2.4, 5.0, 6.0], dtype=dtype)
        values = module(d)
        assert values.dtype == dtype
        assert torch.isfinite(values).all()
        torch.testing.assert_close(scripted(d), values)
        torch.testing.assert_close(loaded(d), values)
    assert module(torch.zeros(0)).shape[0] == 0


@pytest.mark.parametrize("module", [GaussianBasis(50, 12.0), BesselBasis(8, 12.0)])
def test_tables_stay_float64(module):
    """No trainable weights, and constants of full precision whatever dtype the parameters get."""
    assert list(module.parameters()) == []
    assert {buffer.dtype for buffer in module.buffers()} == {torch.float64}


def test_bad_arguments():
    for cutoff in (0.0, -2.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="cutoff"):
            GaussianBasis(8, cutoff)
        with pytest.raises(ValueError, match="cutoff"):
            BesselBasis(8, cutoff)
    with pytest.raises(ValueError, match="num_basis"):
        GaussianBasis(1, 5.0)
    with pytest.raises(ValueError, match="num_basis"):
        BesselBasis(0, 5.0)
    with pytest.raises(ValueError, match="width"):
        GaussianBasis(8, 5.0, width=0.0)
    for exponent in (1, 0, 2.5):
        with pytest.raises(ValueError, match="exponent"):
            PolynomialEnvelope(exponent)
