"""What all transports share: the state, its symmetries, the loss, the integrator."""

from abc import ABC, abstractmethod
from typing import Any, Callable, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn


class Transport(nn.Module, ABC):
    """A way from a given state x0 to a sample of p(x1 | x0), along a latent time t from 0 to 1.

    States are [..., N, R, C]: leading dimensions, N residues, R rows of a representation (3 for vectors), C channels.
    Times are [...]. In a centred transport channel 0 is a position: its mean over the residues is taken out of states,
    noises and outputs alike, so both ends of a pair have to be centred. Masks are [..., N, C], bool.

    A network is any callable ``(state, time, condition) -> outputs`` with outputs [num_outputs, ..., N, R, C]; the
    condition is whatever it needs (the features of x0, labels) and passes through unseen. Training draws a time in
    ``time_range`` and noise, and lowers ``loss(network(interpolate(...), time, condition), targets(...), mask)``.

    ``start``, ``time``, ``needs_noise`` and ``advance`` are what ``sample`` is made of, and TorchScript-able: an
    exported program repeats its loop with its own types.

    Args:
        noise: standard deviation σ of the latent noise in the unit of the state, for each channel or one for all.
        centred: whether channel 0 is a position.
        heun: second-order steps (two calls of the network in all but the last step) instead of Euler's.
        grid_power: times of the steps are 1 - (1 - k/K)^power; above 1 they are denser towards the end.
        time_power: times of the training are 1 - (1 - u)^power, u uniform; above 1 they are denser towards the end.
    """

    sigma: Tensor

    num_outputs: int
    #: Times that training may draw, and that the network is asked for.
    time_range: Tuple[float, float]
    random_start: bool
    random_steps: bool

    def __init__(self, noise: Sequence[float], centred: bool, heun: bool, grid_power: float, time_power: float) -> None:
        super().__init__()
        if len(noise) == 0 or min(noise) <= 0:
            raise ValueError(f"noise must be a positive number for each channel, got {list(noise)}")
        if not 1 <= grid_power <= 8:
            raise ValueError(f"grid_power must be between 1 and 8, got {grid_power}")
        if time_power < 1:
            raise ValueError(f"time_power must be at least 1, got {time_power}")
        self.register_buffer("sigma", torch.tensor(list(noise), dtype=torch.float64), persistent=False)
        self.centred = centred
        self.heun = heun
        self.grid_power = grid_power
        self.time_power = time_power

    # --- training ---

    @abstractmethod
    def interpolate(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """The state at a time between a pair.

        Args:
            source, target: [..., N, R, C], centred if the transport is.
            time: [...].
            noise: [..., N, R, C] of unit variance, as of :meth:`draw_noise`.
        """

    @abstractmethod
    def targets(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """What the outputs are regressed on, [num_outputs, ..., N, R, C]; arguments as in :meth:`interpolate`."""

    @abstractmethod
    def endpoint(self, source: Tensor, state: Tensor, outputs: Tensor, time: Tensor) -> Tensor:
        """E[x1 | state] by the outputs, [..., N, R, C]: for losses on structures and for a look at the training."""

    def outputs(self, raw: Tensor, source: Tensor, state: Tensor, time: Tensor) -> Tensor:
        """Outputs from those of a network that are of unit size, both [num_outputs, ..., N, R, C]."""
        scales = self.output_scales().to(raw.dtype)
        return raw * scales.view([scales.shape[0]] + [1] * (raw.dim() - 2) + [scales.shape[1]])

    def output_scales(self) -> Tensor:
        """[num_outputs, C], typical size of the outputs, by which the loss makes them comparable."""
        return self.sigma.expand(self.num_outputs, -1)

    def loss(self, outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Mean squared errors over all existing atoms, [num_outputs, 2]: of channel 0 and of the other channels.

        Errors are in units of ``output_scales``, and sums over the R rows. A group without atoms counts as 0.
        """
        scales = self.output_scales().to(outputs.dtype)
        shape = [scales.shape[0]] + [1] * (outputs.dim() - 2) + [scales.shape[1]]
        error = (self.project(outputs, mask) - targets) / scales.view(shape)
        squares = error.square().sum(-2) * mask
        total = squares.flatten(1, -2).sum(1)
        count = mask.expand(squares.shape[1:]).flatten(0, -2).sum(0)
        position = total[:, 0] / count[0].clamp(min=1)
        vectors = total[:, 1:].sum(1) / count[1:].sum().clamp(min=1)
        return torch.stack([position, vectors], dim=1)

    def draw_times(self, like: Tensor, generator: Optional[torch.Generator] = None) -> Tensor:
        """Times [...] in ``time_range`` for states [..., N, R, C], distributed by ``time_power``."""
        low, high = self.time_range
        uniform = torch.rand(like.shape[:-3], dtype=like.dtype, device=like.device, generator=generator)
        return high - (high - low) * uniform**self.time_power

    def draw_noise(self, like: Tensor, mask: Tensor, generator: Optional[torch.Generator] = None) -> Tensor:
        """Noise of unit variance for states like this one, zero where there is no atom, centred if the transport is."""
        noise = torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
        return self.project(noise, mask)

    def project(self, state: Tensor, mask: Tensor) -> Tensor:
        """The state without masked atoms, and with channel 0 centred if the transport is."""
        weights = mask.to(state.dtype).unsqueeze(-2)
        state = state * weights
        if not self.centred:
            return state
        anchors = weights[..., :1]
        mean = state[..., :1].sum(-3, keepdim=True) / anchors.sum(-3, keepdim=True).clamp(min=1.0)
        return torch.cat([state[..., :1] - mean * anchors, state[..., 1:]], dim=-1)

    # --- sampling ---

    def num_stages(self, steps: int) -> int:
        """Calls of the network in this many steps. The last step is Euler's: drifts may be singular at t = 1."""
        return 2 * steps - 1 if self.heun else steps

    def grid(self, step: int, steps: int) -> float:
        """Time between a step and the one before it in the grid: 0 at step 0, 1 at ``steps``."""
        return self.towards_one(step, steps)

    def towards_one(self, step: int, steps: int) -> float:
        """From 0 to 1 in steps that become shorter, by ``grid_power``."""
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
        state = source + self.sigma.to(source.dtype) * noise if self.random_start else source
        return self.project(state, mask)

    @abstractmethod
    def drift(self, state: Tensor, outputs: Tensor, time: float, step_start: float) -> Tensor:
        """The drift at a time of the step that began at ``step_start``."""

    @abstractmethod
    def kick(self, start: float, end: float) -> float:
        """Standard deviation, in units of σ, of the noise that a step adds."""

    def advance(
        self,
        stage: int,
        steps: int,
        source: Tensor,
        state: Tensor,
        memory: Tensor,
        outputs: Tensor,
        mask: Tensor,
        noise: Tensor,
    ) -> Tuple[Tensor, Tensor]:
        """One stage: Euler's, or predictor and corrector of a second-order step.

        Args:
            source: x0, projected.
            memory: what the last stage returned; the state itself at the first.
            outputs: the network's, at ``state`` and ``time(stage, steps)``.
            noise: [..., N, R, C] of unit variance, used if ``needs_noise(stage)``.

        Returns:
            state and memory for the next stage.
        """
        return self.along_drift(stage, steps, state, memory, outputs, mask, noise)

    def along_drift(
        self, stage: int, steps: int, state: Tensor, memory: Tensor, outputs: Tensor, mask: Tensor, noise: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Euler-Maruyama, or predictor and corrector of Heun's scheme for additive noise; see ``Transport.advance``."""
        step = self.step_of(stage)
        begin, end = self.begin(step, steps), self.grid(step + 1, steps)
        move = (end - begin) * self.drift(state, outputs, self.time(stage, steps), begin)
        if self.heun and stage % 2 == 1:
            state = memory + 0.5 * move
            return self.project(state, mask), state
        if self.random_steps:
            state = state + (self.kick(begin, end) * self.sigma.to(state.dtype)) * noise
        return self.project(state + move, mask), state + 0.5 * move

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
        memory = state
        for stage in range(self.num_stages(steps)):
            time = torch.full(source.shape[:-3], self.time(stage, steps), dtype=source.dtype, device=source.device)
            outputs = network(state, time, condition)
            drawn = draw(self.needs_noise(stage))
            state, memory = self.advance(stage, steps, origin, state, memory, outputs, mask, drawn)
        return state

    def num_noises(self, steps: int) -> int:
        """Noises that a sample takes."""
        count = int(self.random_start)
        for stage in range(self.num_stages(steps)):
            count += int(self.needs_noise(stage))
        return count


def along(time: Tensor) -> Tensor:
    """Times [...] made to multiply states [..., N, R, C]."""
    return time[..., None, None, None]
