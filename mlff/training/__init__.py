"""Training of potentials: configuration, loop, averaging, resume, report."""

from mlff.training.callbacks import TrainingInterrupted
from mlff.training.config import ConfigError, LossConfig, OptimizerConfig, TrainingConfig, dump_config, load_config
from mlff.training.folder import RunFolder
from mlff.training.module import TrainingError
from mlff.training.run import RunResult, train
from mlff.training.state import InitialWeights, StateError

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
    "train",
]
