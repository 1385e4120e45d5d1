"""Typed configuration of the training of a jump model."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from mlff.equijump.config import JumpConfig
from mlff.support.settings import Section
from mlff.training.config import OptimizerConfig, RunConfig
from mlff.trajectories import BalanceConfig


class JumpDataConfig(Section):
    """Which jumps are learned: pairs of frames, a lag time apart."""

    folders: tuple[Path, ...] = Field(min_length=1, description="data sets of equijump generate-data, or descriptions")
    lags: tuple[float, ...] = Field(min_length=1, description="ps; a model of several lags is told which")
    balance: BalanceConfig | None = Field(default=BalanceConfig(), description="rare states more often; null: as found")
    systems_per_batch: int = Field(default=4, ge=1, description="batch_size is a multiple of it")
    validation_pairs: int = Field(default=256, ge=1, description="of each system and lag")

    @field_validator("lags")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) <= 0 or len(set(value)) < len(value):
            raise ValueError(f"must be different positive times, got {list(value)}")
        return tuple(sorted(value))


class UnrollConfig(Section):
    """Sources that the model has made itself, so that it learns to go on from its own errors.

    For a share of the batch the source is not a frame x1 but what the model makes of it: E[x1 | x_t, x0] at a late
    latent time t, with x0 one lag before. The target stays the frame one lag after x1.
    """

    probability: float = Field(default=0.25, ge=0, le=1, description="of a batch")
    begin: float = Field(default=0.5, ge=0, le=1, description="part of the run before the first such batch")
    time_range: tuple[float, float] = Field(
        default=(0.8, 1.0),
        description="of the latent time t: the later, the less is left open, which widens the law of jumps",
    )

    @field_validator("time_range")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 < value[0] < value[1] <= 1.0:
            raise ValueError(f"must be two times in order within (0, 1], got {list(value)}")
        return value


class JumpTrainingConfig(RunConfig):
    """Everything that defines the training of a jump model."""

    may_change: ClassVar[frozenset[str]] = RunConfig.may_change | {"workers"}

    kind: Literal["jump"] = "jump"
    data: JumpDataConfig
    model: JumpConfig = JumpConfig()
    noise: Literal["data", "config"] = Field(
        default="data",
        description="σ of the transport: data takes the rms displacement of anchors and vectors at the longest lag; "
        "config what model.transport says",
    )
    input_noise: float = Field(
        default=0.05, ge=0, description="Å, of the anchors and of the vectors, in half of the sources"
    )
    unroll: UnrollConfig | None = UnrollConfig()
    optimizer: OptimizerConfig = OptimizerConfig(lr=3e-3, weight_decay=1e-4, clip_norm=1.0)
    batch_size: int = Field(default=128, ge=1, description="jumps per process and step")
    steps: int = Field(default=20_000, ge=1)
    validate_every: int = Field(default=500, ge=1, description="steps between validations")
    log_every: int = Field(default=50, ge=1, description="steps between rows of training losses")
    record: bool = Field(
        default=True,
        description="on a GPU: record the step of short chains as one CUDA graph, where batches have few shapes",
    )
    workers: int = Field(default=0, ge=0, description="processes that prepare batches; for GPUs, which wait for them")

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The data sets."""
        return self.data.folders
