"""Engines that move atoms with the models of ``mlff``.

Importing this package imports nothing else; torch and ASE come with the first of its names, OpenMM with a force.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from md_drivers.ase.calculator import MLFFCalculator, NeighborStatistics
    from md_drivers.ase.relaxation import relax
    from md_drivers.ase.results import RelaxFailed, RelaxInterrupted, RelaxResult, RelaxStep
    from md_drivers.common.errors import StructureError
    from md_drivers.openmm.force import openmm_force
    from md_drivers.openmm.simulation.driver import SimulationResult, simulate
    from md_drivers.openmm.simulation.errors import SimulationFailed
    from md_drivers.openmm.simulation.settings import SimulationSettings

__all__ = [
    "MLFFCalculator",
    "NeighborStatistics",
    "RelaxFailed",
    "RelaxInterrupted",
    "RelaxResult",
    "RelaxStep",
    "SimulationFailed",
    "SimulationResult",
    "SimulationSettings",
    "StructureError",
    "openmm_force",
    "relax",
    "simulate",
]

_HOME = {
    "MLFFCalculator": "ase.calculator",
    "NeighborStatistics": "ase.calculator",
    "RelaxFailed": "ase.results",
    "RelaxInterrupted": "ase.results",
    "RelaxResult": "ase.results",
    "RelaxStep": "ase.results",
    "SimulationFailed": "openmm.simulation.errors",
    "SimulationResult": "openmm.simulation.driver",
    "SimulationSettings": "openmm.simulation.settings",
    "StructureError": "common.errors",
    "openmm_force": "openmm.force",
    "relax": "ase.relaxation",
    "simulate": "openmm.simulation.driver",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"md_drivers.{_HOME[name]}"), name)
    raise AttributeError(f"module 'md_drivers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
