"""The best possible network of a transport where the law of the jump is known.

Every interpolant is x_t = a x0 + β x1 + c z, and every output is linear in x1 and z: the outputs of the best network
are the targets at E[x1 | x_t] and E[z | x_t].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mlff.transports import Transport

Network = Callable[[Tensor, Tensor, Tensor], Tensor]
Mean = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def best_network(transport: Transport, mean: Mean) -> Network:
    """The network whose condition is x0.

    Args:
        mean: E[x1 | β x1 + c z = rest] of (rest, x0, β, c), all like the state.
    """

    def network(state: Tensor, time: Tensor, source: Tensor) -> Tensor:
        zero, one = torch.zeros_like(state), torch.ones_like(state)
        beta = transport.interpolate(zero, one, time, zero)
        c = transport.interpolate(zero, zero, time, one)
        rest = state - transport.interpolate(source, zero, time, zero)
        target = mean(rest, source, beta, c)
        noise = torch.where(c > 0, (rest - beta * target) / c, zero)
        return transport.targets(source, target, time, noise)

    return network


def gaussian_mean(jump: Tensor, covariance: Tensor) -> Mean:
    """For x1 ~ N(jump·x0, covariance) over the flattened state; one time for the whole batch."""

    def mean(rest: Tensor, source: Tensor, beta: Tensor, c: Tensor) -> Tensor:
        rest, beta, c = rest.flatten(1), beta[:1].flatten(1), c[:1].flatten(1)
        prior = source.flatten(1) @ jump.T
        total = beta.unsqueeze(-1) * covariance * beta.unsqueeze(-2) + torch.diag_embed(c.square())
        # c vanishes at the ends: a pseudo-inverse, because β vanishes at t = 0 as well
        gain = covariance * beta.unsqueeze(-2) @ torch.linalg.pinv(total, hermitian=True)
        return (prior + (gain @ (rest - beta * prior).unsqueeze(-1)).squeeze(-1)).view(source.shape)

    return mean


def branched_mean(probability: float, distance: float, width: float) -> Mean:
    """For numbers x1 ~ N(x0, width²), or with a probability N(x0 + distance, width²)."""

    def mean(rest: Tensor, source: Tensor, beta: Tensor, c: Tensor) -> Tensor:
        total = (beta * width).square() + c.square()
        prior = torch.tensor([1 - probability, probability], dtype=rest.dtype).log()
        means = torch.stack([source, source + distance])
        # At t = 0 nothing is known: both terms vanish, and so does the evidence.
        evidence = torch.where(total > 0, -0.5 * (rest - beta * means).square() / total, 0.0)
        weights = torch.softmax(prior.view(2, *[1] * rest.dim()) + evidence, dim=0)
        gain = torch.where(total > 0, beta * width**2 / total, 0.0)
        return (weights * (means + gain * (rest - beta * means))).sum(0)

    return mean


def tabulated_mean(grid: Tensor, probabilities: Tensor) -> Mean:
    """For one number x1 on an even grid [G] with P(x1 | x0), [G, G], interpolated between rows.

    Every point of the grid is a Gaussian as wide as the spacing, so that the density is smooth where c is smaller.
    """
    spacing = grid[1] - grid[0]

    def mean(rest: Tensor, source: Tensor, beta: Tensor, c: Tensor) -> Tensor:
        rest, beta, c, x0 = (tensor.flatten()[:, None] for tensor in (rest, beta, c, source))
        place = ((x0 - grid[0]) / spacing).clamp(0, len(grid) - 1.001)
        row, share = place.long().squeeze(1), place - place.floor()
        prior = (1 - share) * probabilities[row] + share * probabilities[row + 1]
        total = (beta * spacing).square() + c.square()
        # At t = 0 nothing is known: both terms vanish, and so does the evidence.
        evidence = torch.where(total > 0, -0.5 * (rest - beta * grid).square() / total, 0.0)
        weights = torch.softmax(prior.clamp(min=1e-30).log() + evidence, dim=1)
        gain = torch.where(total > 0, beta * spacing.square() / total, 0.0)
        best = weights @ grid[:, None]
        return (best + gain * (rest - beta * best)).view(source.shape)

    return mean
