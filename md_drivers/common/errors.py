"""Errors of the drivers that a user can cause."""

from __future__ import annotations

from ase.calculators.calculator import InputError


class StructureError(InputError, ValueError):
    """A structure, selection or structure file that cannot be used; the message says what, where and what to do.

    It is an ASE ``InputError`` and a ``ValueError``, so scripts may catch either.
    """
