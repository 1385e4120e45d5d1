"""Training of jump models: the task that :mod:`mlff.training` carries out."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equijump.training.config import JumpDataConfig as JumpDataConfig
    from mlff.equijump.training.config import JumpTrainingConfig as JumpTrainingConfig
    from mlff.equijump.training.config import UnrollConfig as UnrollConfig
    from mlff.equijump.training.task import TASK as TASK
    from mlff.equijump.training.trained import load_trained_jump as load_trained_jump

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
