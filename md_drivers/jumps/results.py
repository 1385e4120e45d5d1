"""What a rollout reports, on its way and in the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlff.equijump.artifact import Familiarity


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
class Confidence:
    """How far a rollout can be trusted, as far as it is known.

    Attributes:
        invalid: share of the frames after a jump that are no valid structures; ``None`` without frames.
        expected: the same of the molecular dynamics that the model imitates; ``None`` where its file does not say.
        familiarity: how far the molecule is from those that the model was trained on.
    """

    invalid: float | None
    expected: float | None
    familiarity: Familiarity

    def __str__(self) -> str:
        expected = "share not known" if self.expected is None else f"{100 * self.expected:.2f} %"
        invalid = "no frames" if self.invalid is None else f"{100 * self.invalid:.2f} % of the frames invalid"
        return f"{invalid} (training data: {expected}); {self.familiarity}"

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return {"invalid_share": self.invalid, "training_invalid_share": self.expected, **asdict(self.familiarity)}


#: Of the frames; the pretrained models have 0.9 and more for molecules like those that they know.
_LEAST_VALID = 0.5


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
        confidence: how far the frames can be trusted.
        failed: replicas whose coordinates exploded, with the step that made no frame.
        stopped: the rollout was asked to stop before the last step.
    """

    folder: Path
    steps: int
    time: float
    frames: int
    valid: float | None
    speed: float
    confidence: Confidence
    failed: dict[int, int] = field(default_factory=dict)
    stopped: bool = False

    @property
    def usable(self) -> bool:
        """Whether at least half of the frames are valid structures; where not, the model cannot jump this molecule."""
        return self.valid is None or self.valid >= _LEAST_VALID
