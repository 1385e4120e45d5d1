"""How jumps end when they do not go well."""

from __future__ import annotations

from ase.calculators.calculator import CalculationFailed


class JumpFailed(CalculationFailed):
    """A jump after which there is no molecule any more; the atoms are where they were before it."""
