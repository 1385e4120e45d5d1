"""The training engine: configuration, loop, averaging, resume, report; it knows no kind of model.

A kind gives a :class:`Task`, which :mod:`mlff.support.kinds` finds.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.support.errors import ConfigError as ConfigError
    from mlff.support.errors import StateError as StateError
    from mlff.support.errors import TrainingError as TrainingError
    from mlff.support.errors import TrainingInterrupted as TrainingInterrupted
    from mlff.support.settings import dump_config as dump_config
    from mlff.training.config import OptimizerConfig as OptimizerConfig
    from mlff.training.config import RunConfig as RunConfig
    from mlff.training.config import load_config as load_config
    from mlff.training.config import parse_config as parse_config
    from mlff.training.lightning_module import SteppedModule as SteppedModule
    from mlff.training.loop import RunResult as RunResult
    from mlff.training.loop import train as train
    from mlff.training.process import set_up_process as set_up_process
    from mlff.training.run_folder import RunFolder as RunFolder
    from mlff.training.task import Placement as Placement
    from mlff.training.task import Publication as Publication
    from mlff.training.task import Task as Task
    from mlff.training.task import TrainingRun as TrainingRun

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
