"""Dynamics and relaxations with the models of ``mlff``.

Importing this package imports nothing else; torch and ASE come with the first of its names, OpenMM with a force.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from md_drivers.ase.calculator import MLFFCalculator as MLFFCalculator
    from md_drivers.ase.relaxation import relax as relax
    from md_drivers.ase.results import RelaxFailed as RelaxFailed
    from md_drivers.ase.results import RelaxInterrupted as RelaxInterrupted
    from md_drivers.ase.results import RelaxResult as RelaxResult
    from md_drivers.ase.results import RelaxStep as RelaxStep
    from md_drivers.ase.settings import RelaxSettings as RelaxSettings
    from md_drivers.common.domain import DomainWarning as DomainWarning
    from md_drivers.common.errors import StructureError as StructureError
    from md_drivers.common.neighbors import NeighborStatistics as NeighborStatistics
    from md_drivers.openmm.force import openmm_force as openmm_force
    from md_drivers.openmm.simulation.driver import simulate as simulate
    from md_drivers.openmm.simulation.results import SimulationFailed as SimulationFailed
    from md_drivers.openmm.simulation.results import SimulationResult as SimulationResult
    from md_drivers.openmm.simulation.settings import SimulationSettings as SimulationSettings

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
