"""Whether a model can be applied to a structure at all."""

from __future__ import annotations

from collections import Counter

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from md_drivers.common.checks import first_few
from md_drivers.common.errors import StructureError
from md_drivers.common.models import model_name, unknown_species
from mlff.graph import spans_volume
from mlff.potential.artifact import LoadedModel


def check_applicable(model: LoadedModel, atoms: Atoms) -> None:
    """Raise StructureError for no atoms, positions or a cell that are not finite or degenerate, or unknown species."""
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if bad.size:
        raise StructureError(f"positions are not finite (NaN or infinity) for atom(s) {first_few(bad.tolist(), 5)}")
    _check_cell(atoms)
    known = set(model.metadata.species)
    unknown = Counter(int(z) for z in atoms.numbers if int(z) not in known)
    if unknown:
        found = ", ".join(f"{_symbol(z)} ({count})" for z, count in sorted(unknown.items()))
        raise StructureError(unknown_species(model, found))


def _symbol(number: int) -> str:
    return chemical_symbols[number] if 0 <= number < len(chemical_symbols) else f"Z={number}"


def _check_cell(atoms: Atoms) -> None:
    cell, pbc = atoms.cell.array, atoms.pbc
    if not np.isfinite(cell).all():
        raise StructureError("the cell has entries that are not finite (NaN or infinity)")
    if np.linalg.matrix_rank(cell[pbc]) < pbc.sum():
        axes = "".join("abc"[k] for k in np.flatnonzero(pbc))
        raise StructureError(
            f"the structure is periodic along {axes} but these cell vectors are zero or linearly dependent: "
            "set atoms.cell or switch off atoms.pbc"
        )


def stress_obstacle(model: LoadedModel, atoms: Atoms) -> str | None:
    """Reason why a model has no stress for ``atoms``, or ``None`` when it has one."""
    if not model.metadata.conservative:
        return f"model {model_name(model)!r} predicts forces directly; stress needs a conservative model"
    if not spans_volume(atoms.cell.array):
        return "stress needs a three-dimensional cell of nonzero volume, set atoms.cell"
    if not atoms.pbc.any():
        return "stress needs a periodic direction, and pbc is false in all three: the box of a molecule means nothing"
    return None
