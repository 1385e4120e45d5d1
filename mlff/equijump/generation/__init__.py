"""Trajectories of capped peptides and small proteins by OpenMM, in implicit water.

OpenMM, PeptideBuilder and mdtraj come with the extra ``equijump`` and are imported only when they are used.
"""

from mlff.equijump.dataset.errors import DataError
from mlff.equijump.generation.compiled_copies import CompiledCopies
from mlff.equijump.generation.config import (
    GenerationConfig,
    Platform,
    SystemConfig,
    UnfoldingConfig,
    load_config,
    parse_config,
)
from mlff.equijump.generation.copies import Copies
from mlff.equijump.generation.generate import generate
from mlff.equijump.generation.presets import PRESETS, Preset, preset
from mlff.equijump.generation.side_by_side import side_by_side

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
