"""Atoms that are given as a mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from md_drivers.common.errors import StructureError


def unmasked(atoms: Iterable[Any], count: int) -> list[Any]:
    """Atom numbers, or whatever else was given, as a list; a mask of booleans becomes the numbers of its atoms.

    Raises:
        StructureError: a mask that does not have an entry for each of ``count`` atoms, or booleans among other things.
    """
    values: list[Any] = atoms.tolist() if hasattr(atoms, "tolist") else list(atoms)
    values = [bool(value) if type(value).__name__ in ("bool_", "bool") else value for value in values]
    if not any(isinstance(value, bool) for value in values):
        return values
    if not all(isinstance(value, bool) for value in values):
        raise StructureError("atoms are given as a mask of booleans or as atom numbers, not as both")
    if len(values) != count:
        raise StructureError(f"the mask of atoms has {len(values)} entries for {count} atoms")
    return [k for k, chosen in enumerate(values) if chosen]
