"""Schedules as pure functions of progress, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math


def learning_rate_factor(
    step: int, total_steps: int, warmup_steps: int, min_factor: float, progress: float = 0.0
) -> float:
    """Factor on the peak learning rate: linear warm-up, then half a cosine down to ``min_factor``.

    Args:
        step: zero-based index of the step about to be taken.
        total_steps: steps of the whole run.
        warmup_steps: steps of the warm-up; step ``warmup_steps - 1`` is the first at the full rate.
        min_factor: factor that the last step reaches.
        progress: part of the time budget already used (0..1); the schedule follows whichever of steps and time is
            further ahead.

    Returns:
        factor in (0, 1].
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    done = min(1.0, max(done, progress))
    return min_factor + (1.0 - min_factor) * 0.5 * (1.0 + math.cos(math.pi * done))


def linear_decay(step: int, total_steps: int, progress: float = 0.0) -> float:
    """Factor that falls from 1 at the first step to 0 at the last; arguments as above."""
    return 1.0 - min(1.0, max(step / max(1, total_steps - 1), progress))
