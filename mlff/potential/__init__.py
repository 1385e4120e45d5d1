"""Energies, forces and stress on a backbone, and the auxiliary task DeNS."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.potential.config import PotentialConfig as PotentialConfig
    from mlff.potential.corruption import CorruptedGraph as CorruptedGraph
    from mlff.potential.corruption import corrupt as corrupt
    from mlff.potential.dens import DensPotential as DensPotential
    from mlff.potential.dens_config import DensConfig as DensConfig
    from mlff.potential.potential import Potential as Potential
    from mlff.potential.potential import completed as completed
    from mlff.potential.transfer import scalar_part as scalar_part

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
