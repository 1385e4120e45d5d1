"""Training of jump models."""

from mlff.training.jumps.config import JumpDataConfig, JumpTrainingConfig, UnrollConfig
from mlff.training.jumps.run import JumpRunResult, train_jump

__all__ = ["JumpDataConfig", "JumpRunResult", "JumpTrainingConfig", "UnrollConfig", "train_jump"]
