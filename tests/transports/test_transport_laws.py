"""Transports with their best networks reproduce processes whose law is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from scipy.linalg import expm, solve_continuous_lyapunov, solve_discrete_lyapunov
from support.exact_networks import best_network, branched_mean, gaussian_mean, tabulated_mean
from torch import Tensor

from mlff.transports import EndpointTransport, FollmerTransport, Transport, TwoSidedTransport

SHAPE = (2, 3, 2)  # N, R, C of the states
SIZE = 12


class OrnsteinUhlenbeck:
    """dx = -A x dt + B dW in 12 dimensions, neither reversible nor isotropic; its jump is N(F x0, Q)."""

    def __init__(self, lag: float) -> None:
        rng = np.random.default_rng(5)
        root = rng.normal(size=(SIZE, SIZE)) / SIZE**0.5
        skew = rng.normal(size=(SIZE, SIZE)) / SIZE**0.5
        # Relaxation times from 0.3 to 10, and a rotation among them.
        rates = np.linalg.qr(root)[0] @ np.diag(np.geomspace(0.1, 3.0, SIZE)) @ np.linalg.qr(root)[0].T
        drift = rates + 0.3 * (skew - skew.T)
        diffusion = np.diag(np.linspace(0.3, 0.8, SIZE))
        stationary = solve_continuous_lyapunov(drift, diffusion)
        jump = expm(-drift * lag)
        self.stationary = torch.from_numpy(stationary)
        self.jump = torch.from_numpy(jump)
        self.covariance = torch.from_numpy(stationary - jump @ stationary @ jump.T)


def affine_law(
    transport: Transport, process: OrnsteinUhlenbeck | Independent, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """F, offset and Q of a sampled jump, exactly: with the best network the sampler is affine in x0 and in the noises.

    The batch holds the response to nothing, to each coordinate of x0, and to each number of each noise.
    """
    network = best_network(transport, gaussian_mean(process.jump, process.covariance))
    count = transport.num_noises(steps)
    batch = 1 + SIZE + count * SIZE
    inputs = torch.zeros(batch, (1 + count) * SIZE, dtype=torch.float64)
    inputs[1:] = torch.eye(batch - 1, dtype=torch.float64)
    source, *noise = inputs.view(batch, 1 + count, *SHAPE).unbind(1)
    mask = torch.ones(batch, SHAPE[0], SHAPE[2], dtype=torch.bool)
    out = transport.sample(network, source, mask, source, steps=steps, noise=noise).view(batch, SIZE)
    response = (out[1:] - out[0]).T
    return response[:, :SIZE], out[0], response[:, SIZE:] @ response[:, SIZE:].T


NOISE = [0.6, 0.4]  # a number for each channel
CASES = {
    "follmer": (FollmerTransport(NOISE, centred=False), 12),
    "follmer, linear": (FollmerTransport(NOISE, centred=False, quadratic=False, grid_power=1.0), 20),
    "follmer, exponential": (FollmerTransport(NOISE, centred=False, exponential=True), 60),
    "follmer, churn": (FollmerTransport(NOISE, centred=False, churn=0.3), 20),
    "follmer, linear, churn": (FollmerTransport(NOISE, centred=False, quadratic=False, churn=0.3), 40),
    "follmer, exponential, churn": (FollmerTransport(NOISE, centred=False, exponential=True, churn=0.3), 80),
    "follmer, early": (FollmerTransport(NOISE, centred=False, early=0.4), 16),
    "endpoint": (EndpointTransport(NOISE, centred=False), 15),
    "two-sided": (TwoSidedTransport(NOISE, centred=False), 30),
    "two-sided, quadratic": (TwoSidedTransport(NOISE, centred=False, gamma="quadratic", epsilon=3.0), 50),
}


def relative_eigenvalues(process: OrnsteinUhlenbeck, covariance: Tensor) -> Tensor:
    """Sampled over true variance of x1 given x0, along the directions in which they differ most and least."""
    lower = torch.linalg.cholesky(process.covariance)
    return torch.linalg.eigvalsh(torch.linalg.solve(lower, torch.linalg.solve(lower, covariance).T))


@pytest.mark.parametrize("case", CASES)
def test_jumps_of_an_ornstein_uhlenbeck_process(case: str) -> None:
    transport, steps = CASES[case]
    process = OrnsteinUhlenbeck(lag=1.0)
    jump, offset, covariance = affine_law(transport, process, steps)
    assert (relative_eigenvalues(process, covariance) - 1).abs().max() < 0.02
    torch.testing.assert_close(offset, torch.zeros(SIZE, dtype=torch.float64), rtol=0, atol=1e-9)
    assert torch.linalg.matrix_norm(jump - process.jump) < 0.02 * torch.linalg.matrix_norm(process.jump)
    # A chain of such jumps stays in the stationary law of the process.
    stationary = torch.from_numpy(solve_discrete_lyapunov(jump.numpy(), covariance.numpy()))
    assert torch.linalg.matrix_norm(stationary - process.stationary) < 0.02 * torch.linalg.matrix_norm(
        process.stationary
    )


PUBLISHED = {"heun": False, "grid_power": 1.0, "gamma": "quadratic", "epsilon": 1.0, "window": (0.1, 0.9)}
ORDERS = {
    "follmer": (FollmerTransport(NOISE, centred=False), 2),
    "follmer, Euler": (FollmerTransport(NOISE, centred=False, heun=False), 1),
    "follmer, exponential": (FollmerTransport(NOISE, centred=False, exponential=True), 2),
    "follmer, linear, exponential": (FollmerTransport(NOISE, centred=False, quadratic=False, exponential=True), 2),
    "follmer, churn": (FollmerTransport(NOISE, centred=False, churn=0.3), 2),
    "follmer, exponential, churn": (FollmerTransport(NOISE, centred=False, exponential=True, churn=0.3), 2),
    "follmer, exponential, early": (FollmerTransport(NOISE, centred=False, exponential=True, early=0.4), 2),
    "follmer, exponential, Euler": (FollmerTransport(NOISE, centred=False, heun=False, exponential=True), 1),
    "endpoint": (EndpointTransport(NOISE, centred=False), 2),
    "endpoint, Euler": (EndpointTransport(NOISE, centred=False, heun=False), 1),
    "two-sided": (TwoSidedTransport(NOISE, centred=False), 2),
    "two-sided, Euler": (TwoSidedTransport(NOISE, centred=False, heun=False), 1),
    "two-sided, as published": (TwoSidedTransport(NOISE, centred=False, **PUBLISHED), 0.5),
}


@pytest.mark.parametrize("case", ORDERS)
def test_errors_vanish_with_the_steps(case: str) -> None:
    """With the order of the scheme where the equation is regular; the published noise has a bias of its own."""
    transport, order = ORDERS[case]
    process = OrnsteinUhlenbeck(lag=1.0)
    errors = []
    for steps in (50, 100):
        _, _, covariance = affine_law(transport, process, steps)
        errors.append(float((relative_eigenvalues(process, covariance) - 1).abs().max()))
    assert errors[1] < 0.1
    assert errors[1] < errors[0] / 2 ** (0.8 * order)


@pytest.mark.parametrize("heun", [True, False])
@pytest.mark.parametrize("quadratic", [True, False])
def test_exponential_steps_end_where_the_end_is_known(quadratic: bool, heun: bool) -> None:
    transport = FollmerTransport(NOISE, centred=False, heun=heun, quadratic=quadratic, exponential=True)
    process = OrnsteinUhlenbeck(lag=1.0)
    network = best_network(transport, gaussian_mean(process.jump, 1e-16 * process.covariance))
    source = torch.randn(50, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end = (source.view(-1, SIZE) @ process.jump.T).view_as(source)
    mask = torch.ones(50, SHAPE[0], SHAPE[2], dtype=torch.bool)
    for steps in (2, 3, 7):
        sample = transport.sample(network, source, mask, source, steps=steps)
        torch.testing.assert_close(sample, end, rtol=0, atol=1e-6)


@dataclass
class Independent:
    """Coordinates of x1 that are independent of each other and of x0."""

    covariance: Tensor
    jump: Tensor = field(default_factory=lambda: torch.zeros(SIZE, SIZE, dtype=torch.float64))


@pytest.mark.parametrize(("exponential", "narrow", "wide"), [(True, 0.90, 0.97), (False, 1.03, 1.01)])
def test_what_ten_steps_do_to_the_width_of_x1(exponential: bool, narrow: float, wide: float) -> None:
    """Of a coordinate of σ/16 and one like σ, over its true standard deviation: what the documentation says."""
    width = torch.full((SIZE,), 0.5, dtype=torch.float64)
    width[0] /= 16
    transport = FollmerTransport([0.5], centred=False, exponential=exponential)
    _, _, covariance = affine_law(transport, Independent(width.square().diag()), steps=10)
    found = covariance.diagonal().sqrt() / width
    assert found[0] == pytest.approx(narrow, abs=0.01)
    assert found[1] == pytest.approx(wide, abs=0.01)


@pytest.mark.parametrize(
    ("early", "steps", "shares"),
    [(0.0, 10, (0.72, 0.65)), (0.42, 12, (0.92, 0.92)), (0.42, 50, (0.99, 0.97))],
    ids=["ten steps", "twelve, five of them early", "fifty"],
)
def test_how_many_rare_jumps_are_found(early: float, steps: int, shares: tuple[float, float]) -> None:
    """Of a branch of 1 % at 7 and 10 σ: what the documentation says."""
    transport = FollmerTransport([1.0], centred=False, exponential=True, churn=0.15, early=early)
    source = torch.zeros(100_000, 1, 1, 1)
    mask = torch.ones(100_000, 1, 1, dtype=torch.bool)
    for distance, share in zip((7.0, 10.0), shares, strict=True):
        network = best_network(transport, branched_mean(0.01, distance, 0.7))
        generator = torch.Generator().manual_seed(0)
        sample = transport.sample(network, source, mask, source, steps=steps, generator=generator)
        found = float((sample > distance / 2).double().mean()) / 0.01
        assert found == pytest.approx(share, abs=0.07)  # two standard errors of a thousand jumps


class DoubleWell:
    """dx = -V'(x) dt + √2 dW with V = 3 (x² - 1)² in kT, on a grid.

    The transition matrix is the exponential of a generator with detailed balance, whose slow mode gives the rate.
    """

    def __init__(self, lag: float) -> None:
        grid = np.linspace(-2.0, 2.0, 129)
        potential = 3.0 * (grid**2 - 1.0) ** 2
        step = grid[1] - grid[0]
        rates = np.zeros((len(grid), len(grid)))
        i = np.arange(len(grid) - 1)
        rates[i, i + 1] = np.exp(-0.5 * (potential[1:] - potential[:-1])) / step**2
        rates[i + 1, i] = np.exp(-0.5 * (potential[:-1] - potential[1:])) / step**2
        rates -= np.diag(rates.sum(1))
        weights = np.exp(-potential)
        self.stationary = weights / weights.sum()
        root = np.sqrt(self.stationary)
        values, vectors = np.linalg.eigh(root[:, None] * rates / root)
        self.rate = -values[-2]
        self.slow = torch.from_numpy(vectors[:, -2] / root)
        self.grid = torch.from_numpy(grid)
        self.cumulative = np.cumsum(self.stationary) - 0.5 * self.stationary
        self.transition = torch.from_numpy(expm(rates * lag)).clamp(min=0)

    def slow_coordinate(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.interp(x.numpy(), self.grid.numpy(), self.slow.numpy()))


@pytest.mark.parametrize(
    ("transport", "steps"),
    [
        (FollmerTransport([0.5], centred=False), 12),
        (EndpointTransport([0.5], centred=False), 12),
        (TwoSidedTransport([0.5], centred=False), 12),
    ],
    ids=["follmer", "endpoint", "two-sided"],
)
def test_rates_in_a_double_well(transport: Transport, steps: int) -> None:
    """A chain of jumps crosses the barrier of 3 kT as often as the process, and stays in equilibrium."""
    lag, jumps, walkers = 0.2, 10, 12000  # statistical error of the rate: 3 %
    well = DoubleWell(lag)
    network = best_network(transport, tabulated_mean(well.grid.float(), well.transition.float()))
    generator = torch.Generator().manual_seed(0)
    # evenly through the equilibrium distribution
    places = (np.arange(walkers) + 0.5) / walkers
    start = torch.from_numpy(np.interp(places, well.cumulative, well.grid.numpy()))
    x = start.float().view(walkers, 1, 1, 1)
    mask = torch.ones(walkers, 1, 1, dtype=torch.bool)
    for _ in range(jumps):
        x = transport.sample(network, x, mask, x, steps=steps, generator=generator)
    end = x.double().flatten()
    correlation = well.slow_coordinate(start) @ well.slow_coordinate(end) / walkers
    rate = -float(correlation.log()) / (lag * jumps)
    assert rate == pytest.approx(well.rate, rel=0.1)
    bins = np.linspace(-1.6, 1.6, 17)
    histogram, _ = np.histogram(end.numpy(), bins)
    expected = np.diff(np.interp(bins, well.grid.numpy(), well.cumulative))
    assert np.abs(histogram / walkers - expected).sum() < 0.06
