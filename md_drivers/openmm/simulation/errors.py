"""How a simulation ends when it does not go well."""

from __future__ import annotations

from md_drivers.common.errors import CalculationError


class SimulationFailed(CalculationError):
    """A simulation that cannot go on; what it wrote before stays."""
