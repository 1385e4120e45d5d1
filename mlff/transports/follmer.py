"""The transport of a point source by one drift."""

import math
from typing import Sequence, Tuple

import torch
from torch import Tensor

from mlff.transports.base import Motion, Transport
from mlff.transports.interpolant import over_states

# Before this time it is decided where the jump goes, later what the molecule looks like there.
_DECIDED = 0.5


class FollmerTransport(Transport):
    """A point source is carried to x1 by one drift and the noise of a Wiener process W.

    Chen et al., "Probabilistic forecasting with stochastic interpolants and Föllmer processes" (arXiv:2403.13724)::

        x_t = x0 + β(t) (x1 - x0) + (1-t) σ W_t,    W_t = √t z,    β = t² or t
        b   = E[β'(t) (x1 - x0) - σ W_t | x_t]
        dX  = b dt + (1-t) σ dW,    X(0) = x0

    ======  ====================  =======================================
    symbol  variable              meaning
    ======  ====================  =======================================
    x0, x1  source, target        ends of a pair
    x_t, X  state                 in training and in sampling
    z       noise                 of unit variance
    σ W     ``wiener``            the noise up to t, in units of the state
    β, β'   ``beta``, ``slope``   what of the jump has happened, and its speed
    b       ``outputs[0]``        the one output
    ======  ====================  =======================================

    The equation starts exactly at the point x0 and needs neither a score nor a division; b is regular at both ends.

    Ten steps of second order take 19 calls of the network and ten noises:

    >>> transport = FollmerTransport([0.5])
    >>> transport.num_stages(10), transport.num_noises(10)
    (19, 10)

    Args:
        quadratic: β = t², and not β = t, which takes many steps where σ is small against the spread of x1.
        exponential: steps that are exact where the end is known, see :meth:`exponential_stage`; else steps along
            the drift.
        churn: from t = 0.5 on, every step begins earlier than the last one ended, by this share of its length: noise is
            put back, and with it errors of the network are forgotten (Karras et al., arXiv:2206.00364). With an exact
            network and many steps the law of x1 is the same for any churn; few steps narrow it. Needs ``heun``.
        early: share of the steps, at most a half, that lead to t = 0.5, along the drift and evenly, but for the first,
            which is twice as long; 0: the grid of all transports, where few steps miss a part of the rare jumps, see
            :meth:`grid`.
    """

    def __init__(
        self,
        noise: Sequence[float],
        centred: bool = True,
        heun: bool = True,
        grid_power: float = 2.0,
        quadratic: bool = True,
        time_power: float = 1.0,
        exponential: bool = False,
        churn: float = 0.0,
        early: float = 0.0,
    ) -> None:
        super().__init__(noise, centred, heun, grid_power, time_power)
        self.num_outputs: int = 1
        self.time_range: Tuple[float, float] = (0.0, 1.0)
        self.random_start: bool = False
        self.random_steps: bool = True
        self.quadratic = quadratic
        self.exponential = exponential
        self.churn = churn
        self.early = early
        self.decided = _DECIDED
        if not 0.0 <= churn < 1.0:
            raise ValueError(f"churn must be at least 0 and below 1, got {churn}")
        if churn > 0.0 and not heun:
            raise ValueError("churn needs steps of second order: heun must be true")
        if not 0.0 <= early <= 0.5:
            raise ValueError(f"early must be between 0 and 0.5, got {early}")

    def interpolate(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        t = over_states(time)
        beta = t * t if self.quadratic else t
        wiener = self.sigma_of(source) * t.sqrt() * noise
        return source + beta * (target - source) + (1.0 - t) * wiener

    def targets(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        t = over_states(time)
        slope = 2.0 * t if self.quadratic else torch.ones_like(t)
        wiener = self.sigma_of(source) * t.sqrt() * noise
        return (slope * (target - source) - wiener).unsqueeze(0)

    def endpoint(self, source: Tensor, state: Tensor, outputs: Tensor, time: Tensor) -> Tensor:
        """x0 + (x + (1-t) b - x0) / (β + (1-t) β'): x + (1-t) b where β = t; undefined at t = 0 where β = t².

        The noise cancels in x + (1-t) b, and what is left is x0 + (β + (1-t) β') (x1 - x0). At t = 0 and β = t² outputs
        know nothing of x1.
        """
        t = over_states(time)
        ahead = state + (1.0 - t) * outputs[0]
        return source + (ahead - source) / (t * (2.0 - t)) if self.quadratic else ahead

    def drift(self, state: Tensor, outputs: Tensor, time: float, step_start: float) -> Tensor:
        return outputs[0]

    def kick(self, start: float, end: float) -> float:
        # √∫(1-t)² dt
        return math.sqrt(((1.0 - start) ** 3 - (1.0 - end) ** 3) / 3.0)

    def advance(
        self, stage: int, steps: int, source: Tensor, last: Motion, outputs: Tensor, mask: Tensor, noise: Tensor
    ) -> Motion:
        # one step alone would learn nothing of the end
        if self.exponential and steps > 1 and self.step_of(stage) >= self.early_steps(steps):
            reached = self.exponential_stage(stage, steps, source, last, outputs, mask, noise)
        else:
            reached = self.drift_stage(stage, steps, last, outputs, mask, noise)
        if not (self.heun and stage % 2 == 1):
            return reached
        state = self.put_back(self.step_of(stage) + 1, steps, source, reached.state, mask, noise)
        return Motion(state, reached.memory)

    def early_steps(self, steps: int) -> int:
        """How many steps lead to t = 0.5; none of less than four, which are all needed for the width of x1."""
        return int(self.early * steps + 0.5) if steps >= 4 else 0

    def grid(self, step: int, steps: int) -> float:
        """As of all transports, or with ``early`` steps of their own.

        A rare jump, far in units of σ, is decided at t = 0.2 to 0.5, where a small probability grows fast in the
        latent state, and long steps leave growth out. Of a branch of 1 % at 7 and 10 σ (x1 like σ about its means) ten
        exponential steps of an exact network find 0.72 and 0.65, twelve with ``early`` 0.42 find 0.92 of them.
        """
        early = self.early_steps(steps)
        if early == 0:
            return self.shortening(step, steps)
        if step >= early:
            return self.decided + (1.0 - self.decided) * self.shortening(step - early, steps - early)
        return self.decided * (step + 1) / (early + 1) if step > 0 else 0.0

    def begin(self, step: int, steps: int) -> float:
        time = self.grid(step, steps)
        return time - self.churn * (time - self.grid(step - 1, steps)) if time > self.decided else time

    def needs_noise(self, stage: int) -> bool:
        """The first stage of each step; with churn all, and before t = 0.5 some in vain."""
        return not self.heun or stage % 2 == 0 or self.churn > 0.0

    def put_back(self, step: int, steps: int, source: Tensor, state: Tensor, mask: Tensor, noise: Tensor) -> Tensor:
        """The state where a step begins from that where the last one ended, by noise of unit variance."""
        later, earlier = self.grid(step, steps), self.begin(step, steps)
        if earlier == later:
            return state
        # (x - x0) / β is x1 - x0 with noise, the more the earlier
        ratio = self._beta(earlier) / self._beta(later)
        added = (1.0 - earlier) ** 2 * earlier - ratio**2 * (1.0 - later) ** 2 * later
        state = source + ratio * (state - source) + math.sqrt(added) * self.sigma_of(state) * noise
        return self.project(state, mask)

    def exponential_stage(
        self, stage: int, steps: int, source: Tensor, last: Motion, outputs: Tensor, mask: Tensor, noise: Tensor
    ) -> Motion:
        """A stage that takes D = E[x1 - x0 | X] from the outputs and is exact where D is constant.

        X = x0 + β D + (1-t) σ W gives d[(X - x0) / (1-t)] = D dη + σ dW with η = β / (1-t). Within a step D is linear
        in log η, much as in DPM-Solver++ (Lu et al., arXiv:2211.01095); its value at the end is that at the predicted
        state. Ten such steps of an exact network narrow x1, its standard deviations by 3 % where they are like σ and
        10 % where they are σ/16 (β = t²); ten along the drift widen these by 1 and 3 %. So they are for networks whose
        errors widen x1, which shows in bonds first.
        """
        step = self.step_of(stage)
        begin, end = self.begin(step, steps), self.grid(step + 1, steps)
        corrector = self.heun and stage % 2 == 1
        kept = (1.0 - end) / (1.0 - begin)
        gain = self._beta(end) - kept * self._beta(begin)
        # share of the end in the mean of D over the step; all of it where D is not known at the beginning
        share = 0.0
        if self.heun and step + 1 < steps:
            if begin > 0.0:
                growth = math.log(self._beta(end) / (kept * self._beta(begin)))
                share = -1.0 / math.expm1(-growth) - 1.0 / growth
            else:
                share = 1.0 if self.quadratic else 0.5
        ahead = gain * self._displacement(source, last.state, outputs, end if corrector else begin)
        if corrector:
            state = last.memory + share * ahead
            return Motion(self.project(state, mask), state)
        kick = (1.0 - end) * math.sqrt(end - begin) * self.sigma_of(last.state) * noise
        state = source + kept * (last.state - source) + kick
        return Motion(self.project(state + ahead, mask), state + (1.0 - share) * ahead)

    def _beta(self, time: float) -> float:
        return time * time if self.quadratic else time

    def _displacement(self, source: Tensor, state: Tensor, outputs: Tensor, time: float) -> Tensor:
        """E[x1 - x0 | x_t]; nothing where β = t² and t = 0, as the outputs do not know it."""
        ahead = state + (1.0 - time) * outputs[0] - source
        if not self.quadratic:
            return ahead
        return ahead / (time * (2.0 - time)) if time > 0.0 else torch.zeros_like(ahead)
