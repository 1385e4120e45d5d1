"""Energies, forces and stress on a backbone."""

from mlff.potential.config import PotentialConfig
from mlff.potential.potential import Potential
from mlff.potential.transfer import scalar_part

__all__ = ["Potential", "PotentialConfig", "scalar_part"]
