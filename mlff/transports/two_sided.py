"""The transport of EquiJump: drift and denoiser of a two-sided interpolant."""

import math
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from mlff.transports.base import Transport
from mlff.transports.interpolant import over_states

_MARGIN = 1e-4  # networks are not asked closer to the ends: γ, or its derivative, is singular there


class TwoSidedTransport(Transport):
    """Noise between two fixed ends; the network learns velocity and noise.

    EquiJump (arXiv:2410.09667), after stochastic interpolants (arXiv:2303.08797)::

        x_t = (1-t) x0 + t x1 + γ(t) σ z
        b   = E[x1 - x0 + γ'(t) σ z | x_t],    η = E[z | x_t],    score = -η / (γ σ)
        dX  = (b - (ε(t)/γ(t)) σ η) dt + √(2 ε(t)) σ dW,    X(0) = x0

    ======  ====================  ==========================================
    symbol  variable              meaning
    ======  ====================  ==========================================
    x0, x1  source, target        ends of a pair
    x_t, X  state                 in training and in sampling
    z       noise                 of unit variance
    γ, γ'   ``gamma``, ``slope``  size of the noise and its derivative
    b, η    ``outputs``           velocity and denoiser, in this order
    ε       ``noise_level``       how fast the process forgets, in units of σ²
    ======  ====================  ==========================================

    The source is a point, so the equation without noise (ε = 0) is deterministic and wrong: the process has to forget
    where it started. Each γ comes with an ε(t) that does so and lets all terms be computed:

    - ``brownian``, γ = √(t(1-t)) and ε(t) = ε (1-t). With ε = 1/2 the noise at t = 0 is that of the interpolant itself.
    - ``quadratic``, γ = t(1-t) and ε(t) = ε γ. However small t is, x_t tells x1 as well as later, so the first steps
      decide much and ε says how soon that is forgotten. Accurate at ε = 3 and 50 steps; 2 is biased, 4 takes 100.

    A window replaces ε(t) by a constant ε between two times and by 0 elsewhere. As the authors have it: γ quadratic,
    ε = 1, window (0.1, 0.9), 100 Euler steps with ``grid_power`` 1; below 60 they are unstable, as ε/γ² begins at 123.

    Args:
        epsilon: ε, in units of σ².
    """

    def __init__(
        self,
        noise: Sequence[float],
        centred: bool = True,
        heun: bool = True,
        grid_power: float = 2.0,
        gamma: str = "brownian",
        epsilon: float = 0.5,
        window: Optional[Tuple[float, float]] = None,
        time_power: float = 1.0,
    ) -> None:
        super().__init__(noise, centred, heun, grid_power, time_power)
        if gamma not in ("brownian", "quadratic"):
            raise ValueError(f"gamma must be brownian or quadratic, got {gamma!r}")
        if epsilon <= 0:
            raise ValueError(f"epsilon must be positive, since without noise all samples are the same, got {epsilon}")
        if window is not None and not 0.0 <= window[0] < window[1] <= 1.0:
            raise ValueError(f"window must be two times in order within [0, 1], got {window}")
        self.num_outputs: int = 2
        self.time_range: Tuple[float, float] = (_MARGIN, 1.0 - _MARGIN)
        self.random_start: bool = False
        self.random_steps: bool = True
        self.brownian = gamma == "brownian"
        self.epsilon = epsilon
        self.constant = window is not None
        self.window: Tuple[float, float] = (0.0, 1.0) if window is None else window

    def gamma(self, time: Tensor) -> Tuple[Tensor, Tensor]:
        """γ and its derivative."""
        if self.brownian:
            gamma = (time * (1.0 - time)).sqrt()
            return gamma, (0.5 - time) / gamma
        return time * (1.0 - time), 1.0 - 2.0 * time

    def interpolate(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        t = over_states(time)
        gamma, _ = self.gamma(t)
        return (1.0 - t) * source + t * target + gamma * self.sigma_of(source) * noise

    def targets(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        _, slope = self.gamma(over_states(time))
        return torch.stack([target - source + slope * self.sigma_of(source) * noise, noise])

    def output_scales(self, outputs: Tensor) -> Tensor:
        sigma = self.sigma_of(outputs)
        return torch.stack([sigma, torch.ones_like(sigma)]).view([2] + [1] * (outputs.dim() - 2) + [outputs.shape[-1]])

    def endpoint(self, source: Tensor, state: Tensor, outputs: Tensor, time: Tensor) -> Tensor:
        """x + (1-t) b - (γ + (1-t) γ') σ η."""
        t = over_states(time)
        gamma, slope = self.gamma(t)
        weight = (gamma + (1.0 - t) * slope) * self.sigma_of(state)
        return state + (1.0 - t) * outputs[0] - weight * outputs[1]

    def noise_level(self, time: float, step_start: float) -> float:
        """ε at a time of the step that began at ``step_start``; a window opens and closes between steps."""
        if self.constant:
            return self.epsilon if self.window[0] <= step_start < self.window[1] else 0.0
        return self.epsilon * (1.0 - time if self.brownian else time * (1.0 - time))

    def drift(self, state: Tensor, outputs: Tensor, time: float, step_start: float) -> Tensor:
        quadratic = time * (1.0 - time)
        gamma = math.sqrt(quadratic) if self.brownian else quadratic
        return outputs[0] - self.noise_level(time, step_start) / gamma * self.sigma_of(state) * outputs[1]

    def kick(self, start: float, end: float) -> float:
        # √(2 ∫ε dt); Simpson's rule is exact for all of these ε
        middle = self.noise_level(0.5 * (start + end), start)
        mean = (self.noise_level(start, start) + 4.0 * middle + self.noise_level(end, start)) / 6.0
        return math.sqrt(2.0 * (end - start) * mean)
