"""Errors of the drivers: those of the project that are ASE's as well, so that scripts may catch either."""

from __future__ import annotations

from ase.calculators import calculator

from mlff.support.errors import InputError, RunError


class StructureError(InputError, calculator.InputError):
    """A structure, selection or structure file that cannot be used; the message says what, where and what to do."""


class CalculationError(RunError, calculator.CalculationFailed):
    """A calculation that failed; the message says where and what to try."""
