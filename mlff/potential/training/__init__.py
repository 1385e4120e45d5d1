"""Training of potentials: the task that :mod:`mlff.training` carries out."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.potential.training.config import LossConfig, TrainingConfig
    from mlff.potential.training.task import TASK
    from mlff.potential.training.trained import InitialWeights, load_trained

__all__ = ["TASK", "InitialWeights", "LossConfig", "TrainingConfig", "load_trained"]

__getattr__, __dir__ = lazy(__name__, __file__)
