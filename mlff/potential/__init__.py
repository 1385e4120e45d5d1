"""Energies, forces and stress on a backbone."""

from mlff.potential.config import PotentialConfig
from mlff.potential.potential import Potential

__all__ = ["Potential", "PotentialConfig"]
