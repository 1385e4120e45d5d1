"""Dynamics and relaxations with the models of ``mlff``.

Importing this package imports nothing else; torch and ASE come with the first of its names, OpenMM with a force.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from md_drivers.ase.calculator import MLFFCalculator
    from md_drivers.ase.relaxation import relax
    from md_drivers.ase.results import RelaxFailed, RelaxInterrupted, RelaxResult, RelaxStep
    from md_drivers.ase.settings import RelaxSettings
    from md_drivers.common.errors import StructureError
    from md_drivers.common.neighbors import NeighborStatistics
    from md_drivers.openmm.force import openmm_force
    from md_drivers.openmm.simulation.driver import simulate
    from md_drivers.openmm.simulation.results import SimulationFailed, SimulationResult
    from md_drivers.openmm.simulation.settings import SimulationSettings

__all__ = [
    "MLFFCalculator",
    "NeighborStatistics",
    "RelaxFailed",
    "RelaxInterrupted",
    "RelaxResult",
    "RelaxSettings",
    "RelaxStep",
    "SimulationFailed",
    "SimulationResult",
    "SimulationSettings",
    "StructureError",
    "openmm_force",
    "relax",
    "simulate",
]

__getattr__, __dir__ = lazy(__name__, __file__)
