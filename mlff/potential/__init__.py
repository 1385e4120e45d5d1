"""Energies, forces and stress on a backbone, and the auxiliary task DeNS."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.potential.config import PotentialConfig
    from mlff.potential.corruption import CorruptedGraph, corrupt
    from mlff.potential.dens import DensPotential
    from mlff.potential.dens_config import DensConfig
    from mlff.potential.potential import Potential, completed
    from mlff.potential.transfer import scalar_part

__all__ = [
    "CorruptedGraph",
    "DensConfig",
    "DensPotential",
    "Potential",
    "PotentialConfig",
    "completed",
    "corrupt",
    "scalar_part",
]

__getattr__, __dir__ = lazy(__name__, __file__)
