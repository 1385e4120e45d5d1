"""Trajectories of capped peptides and small proteins by OpenMM, in implicit water.

OpenMM, PeptideBuilder and mdtraj come with the extra ``equijump`` and are imported only when they are used.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.sampling.trajectories.compiled_copies import CompiledCopies as CompiledCopies
    from mlff.sampling.trajectories.compiled_copies import side_by_side as side_by_side
    from mlff.sampling.trajectories.config import GenerationConfig as GenerationConfig
    from mlff.sampling.trajectories.config import Platform as Platform
    from mlff.sampling.trajectories.config import SystemConfig as SystemConfig
    from mlff.sampling.trajectories.config import UnfoldingConfig as UnfoldingConfig
    from mlff.sampling.trajectories.config import load_config as load_config
    from mlff.sampling.trajectories.config import parse_config as parse_config
    from mlff.sampling.trajectories.copies import Copies as Copies
    from mlff.sampling.trajectories.generation import generate as generate
    from mlff.sampling.trajectories.presets import PRESETS as PRESETS
    from mlff.sampling.trajectories.presets import Preset as Preset
    from mlff.sampling.trajectories.presets import preset as preset
    from mlff.support.errors import DataError as DataError

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
