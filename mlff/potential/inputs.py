"""Charges, spins and magnetic moments, which are no inputs of a potential and must not be given in vain.

Imports neither torch nor ASE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

    from mlff.potential.domain import Domain

#: What users say of charges and spins; no potential has an input for it.
INPUTS = ("charge", "spin", "multiplicity", "initial_charges", "initial_magmoms")
# Where they write it: keys of ``atoms.info`` in small letters, and arrays of ASE.
_IN_INFO = {
    "charge": ("charge", "total_charge", "net_charge"),
    "spin": ("spin", "total_spin"),
    "multiplicity": ("multiplicity", "spin_multiplicity"),
    "initial_magmoms": ("magmom", "magmoms", "initial_magmoms", "magnetic_moment"),
    "initial_charges": ("initial_charges",),
}
_NAMES = {key: name for name, keys in _IN_INFO.items() for key in keys}
#: Arrays of ASE that count.
ARRAYS = ("initial_charges", "initial_magmoms")


def check_ignore(ignore: Iterable[str]) -> tuple[str, ...]:
    """The names of inputs to ignore; ValueError for others."""
    names = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    for name in names:
        if name not in INPUTS:
            raise ValueError(f"ignore takes any of {', '.join(INPUTS)}, got {name!r}")
    return names


def input_fault(atoms: Atoms, domain: Domain | None, model: str, ignore: Iterable[str] = ()) -> str | None:
    """What a structure asks for that a model has no input for, in one sentence; None: nothing.

    >>> from ase.build import bulk
    >>> print(input_fault(bulk("Ni"), None, "toy"))
    atoms.arrays['initial_magmoms'] is not zero (ase.build.bulk sets it for Fe, Co and Ni), and would have no effect on
    energies and forces of model 'toy', which has no input for initial magmoms; remove it (del
    atoms.arrays['initial_magmoms']), or pass ignore=('initial_magmoms',) (--ignore initial_magmoms) if you know that it
    does not matter

    Args:
        atoms: info and arrays count.
        domain: of the model, which says which total charges its training data imply; None: not known.
        model: its name.
        ignore: names of ``INPUTS`` that may have any value.
    """
    for name, where, value in _stated(atoms):
        if name in ignore:
            continue
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            return f"{where} is no number: {value!r:.40}; correct or remove it"
        if name == "charge" and numbers.size == 1:
            fault = charge_fault(atoms.numbers, float(numbers.reshape(())), domain, model, where)
        elif (numbers == (1.0 if name == "multiplicity" else 0.0)).all():
            continue
        else:
            by_itself = " (ase.build.bulk sets it for Fe, Co and Ni)" if where.endswith("['initial_magmoms']") else ""
            usual = "1" if name == "multiplicity" else "zero"
            fault = _in_vain(name, f"{where} is not {usual}{by_itself}", model, name.replace("_", " "), where)
        if fault is not None:
            return fault
    return None


def charge_fault(
    numbers: np.ndarray, charge: float, domain: Domain | None, model: str, where: str | None = None
) -> str | None:
    """Why a total charge (e) of atoms is not the one that a model implies, as :func:`input_fault` says it; None: it is.

    Args:
        numbers: [N] atomic numbers.
        where: it stands in the structure; None: it was found otherwise.
    """
    if domain is not None:
        why = domain.charge_obstacle(numbers, charge)
    else:
        why = None if charge == 0.0 else "its file does not say which charges its training data had"
    if why is None:
        return None
    also = "; dipole moments take it into account all the same" if domain is None else ""
    what = f"{where or 'the total charge of the atoms of the model'} is {charge:g}"
    return _in_vain("charge", what, model, f"it: {why}", where) + also


def _in_vain(name: str, what: str, model: str, why: str, where: str | None) -> str:
    remove = "" if where is None else f"remove it (del {where}), or "
    return (
        f"{what}, and would have no effect on energies and forces of model {model!r}, which has no input for {why}; "
        f"{remove}pass ignore=({name!r},) (--ignore {name}) if you know that it does not matter"
    )


def _stated(atoms: Atoms) -> Iterator[tuple[str, str, object]]:
    """Name, place and value of what users say of charge and spin."""
    for store, values in (("info", atoms.info), ("arrays", {key: atoms.arrays.get(key) for key in ARRAYS})):
        for key, value in values.items():
            if isinstance(key, str) and value is not None and key.lower() in _NAMES:
                yield _NAMES[key.lower()], f"atoms.{store}[{key!r}]", value
