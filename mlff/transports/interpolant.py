"""The training half of a transport: states between a pair, their symmetries, the loss.

Tensors only: what rows and channels of a state stand for is up to the caller.
"""

from abc import ABC, abstractmethod
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn


class Interpolant(nn.Module, ABC):
    """States x_t(x0, x1, z) between a given state x0 and the next, x1, at latent times t from 0 to 1; z is noise.

    States are [..., N, R, C]: leading dimensions, N nodes, R rows of a representation (3 for vectors), C channels.
    Times are [...]. In a centred transport channel 0 is a position: its mean over the nodes is taken out of states,
    noises and outputs alike, so both ends of a pair have to be centred. Masks are [..., N, C], bool, false for what
    does not exist.

    A network is any callable ``(state, time, condition) -> outputs`` with outputs [num_outputs, ..., N, R, C]; the
    condition is whatever it needs (the features of x0, labels) and is handed on as it is. Training draws a time in
    ``time_range`` and noise, and lowers ``loss(network(interpolate(...), time, condition), targets(...), mask)``.

    Args:
        noise: standard deviation σ of the latent noise in the unit of the state, channel by channel; the last one also
            counts for all further channels.
        centred: whether channel 0 is a position.
        time_power: times of the training are 1 - (1 - u)^power, u uniform; above 1 they are denser towards the end.
    """

    sigma: Tensor

    num_outputs: int
    #: Times that training may draw, and that the network is asked for.
    time_range: Tuple[float, float]

    def __init__(self, noise: Sequence[float], centred: bool, time_power: float) -> None:
        super().__init__()
        if len(noise) == 0 or min(noise) <= 0:
            raise ValueError(f"noise must be one or more positive numbers, got {list(noise)}")
        if time_power < 1:
            raise ValueError(f"time_power must be at least 1, got {time_power}")
        self.register_buffer("sigma", torch.tensor(list(noise), dtype=torch.float64), persistent=False)
        self.centred = centred
        self.time_power = time_power

    def sigma_of(self, like: Tensor) -> Tensor:
        """σ of every channel of a state [..., C], as [C] in its dtype.

        >>> from mlff.transports import EndpointTransport
        >>> EndpointTransport([0.5, 0.2]).sigma_of(torch.zeros(4, 3, 3))
        tensor([0.5000, 0.2000, 0.2000])
        """
        sigma, channels = self.sigma.to(like.dtype), like.shape[-1]
        return torch.cat([sigma, sigma[-1:].expand(channels)])[:channels]

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
        return raw * self.output_scales(raw)

    def output_scales(self, outputs: Tensor) -> Tensor:
        """Typical size of outputs [num_outputs, ..., C], to make them comparable in the loss; broadcasts to them."""
        return self.sigma_of(outputs)

    def loss(self, outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Mean squared errors over all that is not masked, [num_outputs, 2]: of channel 0 and of the other channels.

        Errors are in units of ``output_scales``, and sums over the R rows. A group without any counts as 0.
        """
        error = (self.project(outputs, mask) - targets) / self.output_scales(outputs)
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
        """Noise of unit variance for states like this one, zero where masked, centred if the transport is."""
        noise = torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
        return self.project(noise, mask)

    def project(self, state: Tensor, mask: Tensor) -> Tensor:
        """The state with zeros where masked, and with channel 0 centred if the transport is."""
        weights = mask.to(state.dtype).unsqueeze(-2)
        state = state * weights
        if not self.centred:
            return state
        present = weights[..., :1]
        mean = state[..., :1].sum(-3, keepdim=True) / present.sum(-3, keepdim=True).clamp(min=1.0)
        return torch.cat([state[..., :1] - mean * present, state[..., 1:]], dim=-1)


def over_states(time: Tensor) -> Tensor:
    """Times [...] as [..., 1, 1, 1], which multiply states [..., N, R, C]."""
    return time[..., None, None, None]
