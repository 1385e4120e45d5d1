"""The transport of a noised source by prediction of its end."""

from typing import Sequence, Tuple

from torch import Tensor

from mlff.transports.base import Transport
from mlff.transports.interpolant import over_states


class EndpointTransport(Transport):
    """A noised source moves on a straight line to the end, which the network predicts (DeepJump, arXiv:2509.13294).

    ::

        x_t   = (1-t) (x0 + σ z) + t x1
        dX/dt = (x̂1 - X) / (1-t),    X(0) = x0 + σ z,    x̂1 = E[x1 | x_t]

    ======  ===============  ==============================
    symbol  variable         meaning
    ======  ===============  ==============================
    x0, x1  source, target   ends of a pair
    x_t, X  state            in training and in sampling
    z       noise            of unit variance
    x̂1      ``outputs[0]``   the one output
    ======  ===============  ==============================

    All randomness is in the noise of the source, of which the condition must not know: it holds the clean x0. The last
    step is Euler's, which ends on x̂1 exactly where the velocity is singular.

    A network that knows the end reaches it in any number of steps:

    >>> import torch
    >>> transport = EndpointTransport([0.5], centred=False)
    >>> x0, x1 = torch.zeros(2, 3, 1), torch.ones(2, 3, 1)
    >>> sample = transport.sample(lambda state, time, condition: x1[None], x0, torch.ones(2, 1, dtype=bool), steps=3)
    >>> torch.allclose(sample, x1)
    True
    """

    def __init__(
        self,
        noise: Sequence[float],
        centred: bool = True,
        heun: bool = True,
        grid_power: float = 2.0,
        time_power: float = 1.0,
    ) -> None:
        super().__init__(noise, centred, heun, grid_power, time_power)
        self.num_outputs: int = 1
        self.time_range: Tuple[float, float] = (0.0, 1.0)
        self.random_start: bool = True
        self.random_steps: bool = False

    def interpolate(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        t = over_states(time)
        return (1.0 - t) * (source + self.sigma_of(source) * noise) + t * target

    def targets(self, source: Tensor, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        return target.unsqueeze(0)

    def outputs(self, raw: Tensor, source: Tensor, state: Tensor, time: Tensor) -> Tensor:
        # the nearer the end, the less is left to guess
        return (state + (1.0 - over_states(time)) * self.sigma_of(raw) * raw[0]).unsqueeze(0)

    def endpoint(self, source: Tensor, state: Tensor, outputs: Tensor, time: Tensor) -> Tensor:
        return outputs[0]

    def drift(self, state: Tensor, outputs: Tensor, time: float, step_start: float) -> Tensor:
        return (outputs[0] - state) / (1.0 - time)

    def kick(self, start: float, end: float) -> float:
        return 0.0
