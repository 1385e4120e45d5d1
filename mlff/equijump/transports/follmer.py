"""The transport of a point source by one drift."""

import math
from typing import Sequence, Tuple

import torch
from torch import Tensor

from mlff.equijump.transports.base import Transport, along


class FollmerTransport(Transport):
    """x_t = x0 + β(t) (x1 - x0) + σ (1-t) √t z, sampled by dX = b dt + σ (1-t) dW from X = x0.

    Chen et al., "Probabilistic forecasting with stochastic interpolants and Föllmer processes" (arXiv:2403.13724). The
    noise is that of the increments of a Wiener process, W = √t z, so the equation starts exactly at the point x0 and
    needs neither a score nor a division. The one output, the drift b = E[β' (x1 - x0) - σ W | x_t], is regular at both
    ends.

    Args:
        quadratic: β = t², and not β = t, which takes many steps where σ is small against the spread of x1.
    """

    def __init__(
        self,
        noise: Sequence[float],
        centred: bool = True,
        heun: bool = True,
        grid_power: float = 2.0,
        quadratic: bool = True,
        time_power: float = 1.0,
    ) -> None:
        super().__init__(noise, centred, heun, grid_power, time_power)
        self.num_outputs: int = 1
        self.time_range: Tuple[float, float] = (0.0, 1.0)
        self.random_start: bool = False
        self.random_steps: bool = True
        self.quadratic = quadratic

    def interpolate(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        t = along(time)
        beta = t * t if self.quadratic else t
        return source + beta * (target - source) + (1.0 - t) * t.sqrt() * self.sigma.to(source.dtype) * noise

    def targets(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        t = along(time)
        slope = 2.0 * t if self.quadratic else torch.ones_like(t)
        return (slope * (target - source) - t.sqrt() * self.sigma.to(source.dtype) * noise).unsqueeze(0)

    def endpoint(self, source: Tensor, state: Tensor, outputs: Tensor, time: Tensor) -> Tensor:
        """x + (1-t) b where β = t. Where β = t² it is undefined at t = 0, when outputs know nothing of x1."""
        t = along(time)
        ahead = state + (1.0 - t) * outputs[0]
        return source + (ahead - source) / (t * (2.0 - t)) if self.quadratic else ahead

    def drift(self, state: Tensor, outputs: Tensor, time: float, step_start: float) -> Tensor:
        return outputs[0]

    def kick(self, start: float, end: float) -> float:
        # the integral of (1-t)², exact also where a step is long
        return math.sqrt(((1.0 - start) ** 3 - (1.0 - end) ** 3) / 3.0)
