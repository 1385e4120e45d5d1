"""Training of potentials: configuration, loop, averaging, resume, report."""

from mlff.training.config import ConfigError, LossConfig, OptimizerConfig, TrainingConfig, dump_config, load_config
from mlff.training.folder import RunFolder
from mlff.training.keeping import TrainingInterrupted
from mlff.training.process import set_up_process
from mlff.training.run import RunResult, train
from mlff.training.state import InitialWeights, StateError
from mlff.training.stepping import TrainingError

__all__ = [
    "ConfigError",
    "InitialWeights",
    "LossConfig",
    "OptimizerConfig",
    "RunFolder",
    "RunResult",
    "StateError",
    "TrainingConfig",
    "TrainingError",
    "TrainingInterrupted",
    "dump_config",
    "load_config",
    "set_up_process",
    "train",
]
