"""Training of potentials: the task that :mod:`mlff.training` carries out."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.potential.training.config import LossConfig as LossConfig
    from mlff.potential.training.config import TrainingConfig as TrainingConfig
    from mlff.potential.training.task import TASK as TASK
    from mlff.potential.training.trained import InitialWeights as InitialWeights
    from mlff.potential.training.trained import load_trained as load_trained
    from mlff.potential.training.uncertainty import with_uncertainty as with_uncertainty

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
