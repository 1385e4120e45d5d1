"""What a rollout is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from md_drivers.common.checks import check_choice, check_count
from md_drivers.common.trajectory_files import TrajectoryFormat

#: What a rollout begins with.
STRUCTURE = "a structure in PDB or mmCIF format"


@dataclass(frozen=True)
class RolloutSettings:
    """What makes a rollout what it is; only ``batch_size`` may change when the rollout is resumed.

    Attributes:
        lag: ps of a jump, one that the model was trained for.
        replicas: independent trajectories.
        seed: with the number of a replica it determines all its random numbers.
        latent_steps: of a jump; ``None``: the model's own.
        batch_size: replicas in one call of the network; ``None``: all. Changes results by rounding errors only.
        trajectory_format: ``xtc`` (0.01 Å, with times) or ``dcd`` (single precision, without).
        dtype: of the model; ``None`` as exported.

    Raises:
        ValueError: a value without meaning.
    """

    lag: float
    replicas: int = 1
    seed: int = 0
    latent_steps: int | None = None
    batch_size: int | None = None
    trajectory_format: TrajectoryFormat = "xtc"
    dtype: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.lag < float("inf"):
            raise ValueError(f"the lag must be a positive time in ps, got {self.lag!r}")
        check_count("replicas", self.replicas)
        check_count("seed", self.seed, least=0)
        for name in ("latent_steps", "batch_size"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_choice("trajectory_format", self.trajectory_format, get_args(TrajectoryFormat))
