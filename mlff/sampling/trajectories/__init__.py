"""Trajectories of capped peptides and small proteins by OpenMM, in implicit water.

OpenMM, PeptideBuilder and mdtraj come with the extra ``equijump`` and are imported only when they are used.
"""

from mlff.sampling.trajectories.compiled_copies import CompiledCopies, side_by_side
from mlff.sampling.trajectories.config import (
    GenerationConfig,
    Platform,
    SystemConfig,
    UnfoldingConfig,
    load_config,
    parse_config,
)
from mlff.sampling.trajectories.copies import Copies
from mlff.sampling.trajectories.generate import generate
from mlff.sampling.trajectories.presets import PRESETS, Preset, preset
from mlff.support.errors import DataError

__all__ = [
    "PRESETS",
    "CompiledCopies",
    "Copies",
    "DataError",
    "GenerationConfig",
    "Platform",
    "Preset",
    "SystemConfig",
    "UnfoldingConfig",
    "generate",
    "load_config",
    "parse_config",
    "preset",
    "side_by_side",
]
