"""How a simulation ends when it does not go well."""

from __future__ import annotations

from ase.calculators.calculator import CalculationFailed


class SimulationFailed(CalculationFailed):
    """A simulation that cannot go on; what it wrote before stays."""
