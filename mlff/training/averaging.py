"""Exponential moving average of the weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


def ema_decay(updates: int, decay: float) -> float:
    """Decay of update number ``updates``: ``min(decay, (1 + n) / (10 + n))``.

    The warm-up lets the average forget the random start quickly.
    """
    return min(decay, (1 + updates) / (10 + updates))


def averaged_copy(module: nn.Module, decay: float) -> AveragedModel:
    """Frozen copy of ``module`` whose ``update_parameters(module)`` takes an exponential moving average.

    The first update copies the weights; a later one, number n, moves the average by ``1 - ema_decay(n, decay)``
    towards them. Buffers (constants, normalisation) follow the module. The copy is in evaluation mode.
    """

    def update(averages: Tensors, currents: Tensors, updates: Tensor | int) -> None:
        get_ema_multi_avg_fn(ema_decay(int(updates), decay))(averages, currents, updates)

    averaged = AveragedModel(module, multi_avg_fn=update, use_buffers=False)
    averaged.requires_grad_(False)
    return averaged.eval()
