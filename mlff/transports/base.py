"""What all transports share: interpolation and its loss, and the integrator."""

from abc import abstractmethod
from typing import Any, Callable, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from mlff.transports.interpolant import Interpolant


class Motion(NamedTuple):
    """Where a sample is between two stages."""

    state: Tensor  # [..., N, R, C]
    memory: Tensor  # after a predictor its share of the corrector


class Transport(Interpolant):
    """A way from a given state x0 to a sample of p(x1 | x0), along a latent time t from 0 to 1.

    An interpolant x_t(x0, x1, z) with Gaussian noise z defines a path of densities, and a stochastic differential
    equation, which needs only what a network can learn by regression, samples from it (stochastic interpolants:
    Albergo, Boffi & Vanden-Eijnden, arXiv:2303.08797)::

        dX = b(X, t) dt + σ g(t) dW,    X(0) = x0 (+ σ z),    X(1) ~ p(x1 | x0)

    ========  ============================  =====================================================
    symbol    variable                      meaning
    ========  ============================  =====================================================
    x0, x1    ``source``, ``target``        the given state and the next
    x_t, X    ``state``                     in training and in sampling
    z         ``noise``                     of unit variance
    σ         ``sigma``                     in the unit of the state, see :meth:`sigma_of`
    b         ``drift``                     from the outputs of the network
    g         ``kick``                      √∫g² dt over a step
    ========  ============================  =====================================================

    States, masks and networks are those of :class:`Interpolant`.

    ``start``, ``time``, ``needs_noise`` and ``advance`` are what ``sample`` is made of, and TorchScript-able: an
    exported program repeats its loop with its own types.

    Args:
        noise, centred, time_power: see :class:`Interpolant`.
        heun: second-order steps (two calls of the network in all but the last step) instead of Euler's.
        grid_power: times of the steps are 1 - (1 - k/K)^power; above 1 they are denser towards the end.
    """

    random_start: bool
    random_steps: bool

    def __init__(self, noise: Sequence[float], centred: bool, heun: bool, grid_power: float, time_power: float) -> None:
        super().__init__(noise, centred, time_power)
        if not 1 <= grid_power <= 8:
            raise ValueError(f"grid_power must be between 1 and 8, got {grid_power}")
        self.heun = heun
        self.grid_power = grid_power

    def num_stages(self, steps: int) -> int:
        """Calls of the network in this many steps. The last step is Euler's: drifts may be singular at t = 1."""
        return 2 * steps - 1 if self.heun else steps

    def grid(self, step: int, steps: int) -> float:
        """Time at which a step begins and the one before it ends: 0 at step 0, 1 at ``steps``."""
        return self.shortening(step, steps)

    def shortening(self, step: int, steps: int) -> float:
        """1 - (1 - k/K)^power: from 0 to 1 in steps that become shorter."""
        return 1.0 - (1.0 - step / steps) ** self.grid_power

    def begin(self, step: int, steps: int) -> float:
        """Time at which a step begins: that in the grid, unless the transport puts noise back."""
        return self.grid(step, steps)

    def step_of(self, stage: int) -> int:
        """The step that a stage belongs to."""
        return stage // 2 if self.heun else stage

    def needs_noise(self, stage: int) -> bool:
        """Whether a stage draws noise: the first of each step, in transports with noise."""
        return self.random_steps and (not self.heun or stage % 2 == 0)

    def time(self, stage: int, steps: int) -> float:
        """The time at which a stage asks the network."""
        corrector = self.heun and stage % 2 == 1
        step = self.step_of(stage)
        time = self.grid(step + 1, steps) if corrector else self.begin(step, steps)
        return min(max(time, self.time_range[0]), self.time_range[1])

    def start(self, source: Tensor, mask: Tensor, noise: Tensor) -> Tensor:
        """The state at t = 0; noise [..., N, R, C] of unit variance is used if ``random_start``."""
        state = source + self.sigma_of(source) * noise if self.random_start else source
        return self.project(state, mask)

    @abstractmethod
    def drift(self, state: Tensor, outputs: Tensor, time: float, step_start: float) -> Tensor:
        """b(X, t), [..., N, R, C], at a time of the step that began at ``step_start``."""

    @abstractmethod
    def kick(self, start: float, end: float) -> float:
        """√∫g² dt from ``start`` to ``end``: standard deviation, in units of σ, of the noise that a step adds."""

    def advance(
        self, stage: int, steps: int, source: Tensor, last: Motion, outputs: Tensor, mask: Tensor, noise: Tensor
    ) -> Motion:
        """One stage: Euler's, or predictor and corrector of a second-order step.

        Args:
            source: x0, projected.
            last: what the last stage returned; at the first the state twice.
            outputs: the network's, at the state and ``time(stage, steps)``.
            noise: [..., N, R, C] of unit variance, used if ``needs_noise(stage)``.

        Returns:
            state and memory for the next stage.
        """
        return self.drift_stage(stage, steps, last, outputs, mask, noise)

    def drift_stage(self, stage: int, steps: int, last: Motion, outputs: Tensor, mask: Tensor, noise: Tensor) -> Motion:
        """Euler-Maruyama, or predictor and corrector of Heun's scheme for additive noise; see :meth:`advance`.

        With h = t' - t and G = kick(t, t') σ z::

            Euler, predictor:  X̃ = X + G + h b(X, t)
            corrector:         X' = X + G + h/2 (b(X, t) + b(X̃, t'))
        """
        step = self.step_of(stage)
        begin, end = self.begin(step, steps), self.grid(step + 1, steps)
        move = (end - begin) * self.drift(last.state, outputs, self.time(stage, steps), begin)
        if self.heun and stage % 2 == 1:
            corrected = last.memory + 0.5 * move
            return Motion(self.project(corrected, mask), corrected)
        kicked = last.state
        if self.random_steps:
            kicked = kicked + self.kick(begin, end) * self.sigma_of(kicked) * noise
        return Motion(self.project(kicked + move, mask), kicked + 0.5 * move)

    def sample(
        self,
        network: Callable[[Tensor, Tensor, Any], Tensor],
        source: Tensor,
        mask: Tensor,
        condition: Any = None,
        steps: int = 25,
        generator: Optional[torch.Generator] = None,
        noise: Optional[Sequence[Tensor]] = None,
    ) -> Tensor:
        """A sample of p(x1 | x0).

        Args:
            source: [..., N, R, C], x0; its channel 0 is centred first if the transport is.
            mask: [..., N, C].
            steps: of integration.
            generator: of the noise.
            noise: the noise itself, ``num_noises(steps)`` tensors like the source, instead of a generator.

        Returns:
            [..., N, R, C], centred if the transport is.

        Raises:
            ValueError: no steps, or a wrong number of noises.
        """
        if steps < 1:
            raise ValueError(f"sampling needs at least one step, got {steps}")
        if noise is not None and len(noise) != self.num_noises(steps):
            raise ValueError(f"{steps} steps take {self.num_noises(steps)} noises, got {len(noise)}")
        used = 0
        empty = torch.zeros_like(source)

        def draw(needed: bool) -> Tensor:
            nonlocal used
            if not needed:
                return empty
            if noise is None:
                return self.draw_noise(source, mask, generator)
            used += 1
            return noise[used - 1]

        state = self.start(source, mask, draw(self.random_start))
        origin = self.project(source, mask)
        last = Motion(state, state)
        for stage in range(self.num_stages(steps)):
            time = torch.full(source.shape[:-3], self.time(stage, steps), dtype=source.dtype, device=source.device)
            outputs = network(last.state, time, condition)
            drawn = draw(self.needs_noise(stage))
            last = self.advance(stage, steps, origin, last, outputs, mask, drawn)
        return last.state

    def num_noises(self, steps: int) -> int:
        """Noises that a sample takes."""
        count = int(self.random_start)
        for stage in range(self.num_stages(steps)):
            count += int(self.needs_noise(stage))
        return count
