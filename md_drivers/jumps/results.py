"""What a rollout reports, on its way and in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RolloutProgress:
    """How far a rollout is.

    Attributes:
        step, steps: jumps done, and in all.
        speed: ns per second of wall time, all replicas together, since the start or the resumption.
        valid: share of valid frames so far; ``None`` before any was judged.
    """

    step: int
    steps: int
    speed: float
    valid: float | None


@dataclass(frozen=True)
class RolloutResult:
    """Outcome of a rollout.

    Attributes:
        folder: with the files.
        steps: jumps since the start, those before a resumption included.
        time: ps of each replica.
        frames: of all replicas together.
        valid: share of them that are valid; ``None`` without frames.
        speed: ns per second of wall time, all replicas together, since the start or the resumption.
        failed: replicas whose coordinates exploded, with the step that made no frame.
        stopped: the rollout was asked to stop before the last step.
    """

    folder: Path
    steps: int
    time: float
    frames: int
    valid: float | None
    speed: float
    failed: dict[int, int] = field(default_factory=dict)
    stopped: bool = False
