"""Steps along the drift of a stochastic differential equation with additive noise."""

from abc import abstractmethod
from typing import Tuple

from torch import Tensor

from mlff.equijump.transports.base import Transport


class DriftTransport(Transport):
    """A transport that Euler-Maruyama or Heun's scheme integrates."""

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
