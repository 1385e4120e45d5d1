"""Training of jump models: the task that :mod:`mlff.training` carries out."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equijump.training.config import JumpDataConfig, JumpTrainingConfig, UnrollConfig
    from mlff.equijump.training.task import TASK
    from mlff.equijump.training.trained import load_trained_jump

__all__ = ["TASK", "JumpDataConfig", "JumpTrainingConfig", "UnrollConfig", "load_trained_jump"]

__getattr__, __dir__ = lazy(__name__, __file__)
