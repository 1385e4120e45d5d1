"""The training engine: configuration, loop, averaging, resume, report; it knows no kind of model.

A kind gives a :class:`Task`, which :mod:`mlff.support.kinds` finds.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.support.errors import ArtifactError as StateError
    from mlff.support.errors import ConfigError
    from mlff.support.errors import Interrupted as TrainingInterrupted
    from mlff.support.errors import RunError as TrainingError
    from mlff.support.settings import dump as dump_config
    from mlff.training.config import OptimizerConfig, RunConfig, load_config, parse_config
    from mlff.training.lightning_module import SteppedModule
    from mlff.training.loop import RunResult, train
    from mlff.training.process import set_up_process
    from mlff.training.run_folder import RunFolder
    from mlff.training.task import Placement, Publication, Task, TrainingRun

__all__ = [
    "ConfigError",
    "OptimizerConfig",
    "Placement",
    "Publication",
    "RunConfig",
    "RunFolder",
    "RunResult",
    "StateError",
    "SteppedModule",
    "Task",
    "TrainingError",
    "TrainingInterrupted",
    "TrainingRun",
    "dump_config",
    "load_config",
    "parse_config",
    "set_up_process",
    "train",
]

__getattr__, __dir__ = lazy(__name__, __file__)
