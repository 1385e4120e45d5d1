"""Charges, spins and magnetic moments, which are no inputs of a potential and must not be given in vain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from ase import Atoms

from md_drivers.common.errors import StructureError
from md_drivers.common.models import model_name
from mlff.potential.artifact import LoadedModel

# Where users write them: keys of ``atoms.info`` in small letters, and arrays of ASE.
_IN_INFO = {
    "charge": ("charge", "total_charge", "net_charge"),
    "spin": ("spin", "total_spin"),
    "multiplicity": ("multiplicity", "spin_multiplicity"),
    "initial_magmoms": ("magmom", "magmoms", "initial_magmoms", "magnetic_moment"),
    "initial_charges": ("initial_charges",),
}
_ARRAYS = ("initial_charges", "initial_magmoms")
_NAMES = {key: name for name, keys in _IN_INFO.items() for key in keys}


def check_inputs(model: LoadedModel, atoms: Atoms, ignore: Iterable[str] = ()) -> None:
    """Make sure that a structure asks for nothing that the model has no input for.

    Args:
        model: with its domain, which says which total charges its training data imply.
        atoms: info and arrays count.
        ignore: names of ``INPUTS`` that may have any value.

    Raises:
        StructureError: a value that is not the implied one; the message names it.
    """
    for name, where, value in _stated(atoms):
        if name in ignore:
            continue
        if name == "charge" and value.size == 1:
            check_charge(model, atoms.numbers, float(value.reshape(())), ignore, where)
        elif (value != (1.0 if name == "multiplicity" else 0.0)).any():
            raise _refusal(model, name, where, f"which has no input for {name.replace('_', ' ')}")


def check_charge(
    model: LoadedModel, numbers: np.ndarray, charge: float, ignore: Iterable[str] = (), where: str = "the total charge"
) -> None:
    """Make sure that a total charge (e) of atoms is the one that the model implies; errors as of `check_inputs`."""
    if "charge" in ignore:
        return
    domain = model.metadata.domain
    if domain is None:
        obstacle = None if charge == 0.0 else "whose file says no charge of its training data"
    else:
        obstacle = domain.charge_obstacle(numbers, charge)
    if obstacle is not None:
        raise _refusal(model, "charge", f"{where} is {charge:g}", f"which has no input for it: {obstacle}")


def _refusal(model: LoadedModel, name: str, what: str, why: str) -> StructureError:
    return StructureError(
        f"{what}, and would have no effect on energies and forces of model {model_name(model)!r}, {why}; remove it, or "
        f"pass ignore=({name!r},) (--ignore {name}) if you know that it does not matter"
    )


def _stated(atoms: Atoms) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, place and numbers of what users say of charge and spin."""
    stores = [(f"atoms.info[{key!r}]", key, value) for key, value in atoms.info.items() if isinstance(key, str)]
    stores += [(f"the array {key!r}", key, atoms.arrays[key]) for key in _ARRAYS if key in atoms.arrays]
    for where, key, value in stores:
        name = _NAMES.get(key.lower())
        if name is None or value is None:
            continue
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise StructureError(f"{where} is no number: {value!r:.40}; correct or remove it") from None
        yield name, where if name == "charge" and numbers.size == 1 else f"{where} is not {_usual(name)}", numbers


def _usual(name: str) -> str:
    return "1" if name == "multiplicity" else "zero"
