"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def ema_decay(updates: int, decay: float) -> float:
    """Decay of update number ``updates``: ``min(decay, (1 + n) / (10 + n))``.

    The warm-up lets the average forget the random start quickly.
    """
    return min(decay, (1 + updates) / (10 + updates))


class Averages(AveragedModel):
    """Frozen copy of a module whose ``update_parameters(module)`` takes an exponential moving average.

    The first update copies the weights; a later one, number n, moves the average by ``1 - ema_decay(n, decay)``
    towards them. Buffers (constants, normalisation) are those of the first update. The copy is in evaluation mode.
    The number of updates is known on the host, too: asking a GPU for it would hold up every step.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__(module, use_buffers=False)
        self._decay = decay
        self._updates = 0
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take one step of the average; the first copies weights and buffers."""
        own, current = list(self.module.parameters()), list(model.parameters())
        if self._updates == 0:
            for mine, its in zip(own, current, strict=True):
                mine.copy_(its)
            for kept, constant in zip(self.module.buffers(), model.buffers(), strict=True):
                kept.copy_(constant)
        else:
            get_ema_multi_avg_fn(ema_decay(self._updates, self._decay))(own, current, self._updates)
        self._updates += 1
        self.n_averaged.add_(1)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of every module."""
        result = super().load_state_dict(state_dict, strict, assign)
        self._updates = int(self.n_averaged)
        return result
