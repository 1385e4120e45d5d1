"""From an ASE structure as read to a `Frame`: label lookup, units, grouping."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from mlff.data.frame import PARTLY_FIXED, Frame, check_stress, partly_fixed, validate_frame
from mlff.data.label_config import DataKeys, DataUnits
from mlff.data.units import LENGTH, STRESS
from mlff.graph import Quantity, origin_shift, quantity, total_charge
from mlff.support.errors import DataError


def build_frame(
    atoms: Atoms,
    source: Path,
    index: int,
    *,
    keys: DataKeys,
    units: DataUnits,
    group_by: str | None = None,
    species: Iterable[int] | None = None,
    optional: Collection[str] = (),
) -> Frame:
    """A checked `Frame` in eV and A from a structure in the units of its file.

    Raises:
        DataError: a label is missing, ambiguous or malformed, or the frame fails `validate_frame`.
    """
    raw, structure = Frame(atoms, {}, None, source, index), convert_structure(atoms, units)
    labels = {}
    for name, key in keys.named().items():
        if name in optional and next(_candidates(atoms, key), None) is None:
            continue
        value = _numbers(raw, key, name)
        if name == "stress":
            check_stress(replace(raw, atoms=structure, labels={name: value}))
            labels[name] = _stress(raw, value, structure.cell.volume, units)
        else:
            labels[name] = _shaped(value, quantity(name), len(atoms)) * units.factor(name)
        if not quantity(name).periodic and atoms.pbc.any():
            hint = f"set pbc to F for molecules in a box, or leave out `keys.{name}`"
            raise raw.error(f"a periodic structure has no {quantity(name).title}", hint)
        if quantity(name).origin is not None:
            labels[name] = labels[name] - origin_shift(quantity(name), structure, stated_charge(raw) or 0.0)
    group = None if group_by is None else _group(raw, group_by)
    frame = validate_frame(replace(raw, atoms=structure, labels=labels, group=group), species)
    if atoms.constraints:  # with the structure as read, in whose units constraints have their lengths
        structure.set_array(PARTLY_FIXED, partly_fixed(replace(frame, atoms=atoms)))
    return frame


def convert_structure(atoms: Atoms, units: DataUnits) -> Atoms:
    """Copy in A with species, cell, pbc, tags, constraints, `info` and initial charges and moments, not labels."""
    length = LENGTH[units.length]
    converted = Atoms(
        numbers=atoms.numbers,
        positions=atoms.positions * length,
        cell=atoms.cell.array * length,
        pbc=atoms.pbc,
        tags=atoms.get_tags() if atoms.has("tags") else None,
        info=dict(atoms.info),
    )
    for name in atoms.arrays:
        if name.startswith("initial_"):  # ASE's name of what a calculator is given
            converted.set_array(name, atoms.arrays[name])
    # After the positions: constraints would hold the atoms back.
    converted.set_constraint(copy.deepcopy(atoms.constraints))
    return converted


def read_energy(frame: Frame, keys: DataKeys, units: DataUnits) -> float:
    """Total energy in eV, of a structure as read.

    Raises:
        DataError: the label is missing, ambiguous or not one number.
    """
    if keys.energy is None:
        raise DataError(
            "keys.energy is null, and an energy is needed", file=frame.source, hint="name it in `keys.energy`"
        )
    energy = _numbers(frame, keys.energy, "energy")
    if energy.size != 1:
        raise frame.error(f"energy has shape {energy.shape}, expected one number")
    return float(energy.reshape(())) * units.factor("energy")


def _shaped(raw: np.ndarray, row: Quantity, num_atoms: int) -> np.ndarray:
    """In the shape of a quantity where only that of the file differs; other sizes are left to the validation."""
    shape = (num_atoms, *row.shape) if row.per == "atom" else row.shape
    if row.shape == (3, 3) and raw.size == 6:
        return voigt_6_to_full_3x3_stress(raw.reshape(6))
    return raw.reshape(shape) if row.per == "structure" and raw.size == int(np.prod(shape)) else raw


def stated_charge(frame: Frame) -> float | None:
    """Total charge in e, as far as the file says one; DataError where that is no number."""
    try:
        return total_charge(frame.atoms.info, getattr(frame.atoms.calc, "results", None))
    except ValueError as error:
        raise frame.error(str(error)) from None


def _stress(frame: Frame, raw: np.ndarray, volume: float, units: DataUnits) -> np.ndarray:
    """Full [3,3] stress in eV/A^3 with ASE's sign; accepts Voigt 6 (ASE order), 9 or 3x3 numbers."""
    if raw.size not in (6, 9):
        raise frame.error(f"stress has shape {raw.shape}, expected 6 (Voigt), 9 or 3x3 numbers")
    full = voigt_6_to_full_3x3_stress(raw.reshape(6)) if raw.size == 6 else raw.reshape(3, 3)
    if not np.allclose(full, full.T, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(full).max())), equal_nan=True):
        raise frame.error("stress is not symmetric", "check `keys.stress`")
    full = 0.5 * (full + full.T)
    if units.stress_convention == "virial":
        return -full * units.factor("energy") / volume
    sign = -1.0 if units.stress_convention == "negative" else 1.0
    return sign * full * STRESS[units.stress]


def _group(frame: Frame, by: str) -> str:
    if by == "composition":
        return frame.atoms.get_chemical_formula(mode="hill")
    if by == "file":
        return str(frame.source)
    for value in _candidates(frame.atoms, by):
        if np.asarray(value).ndim == 0:
            return str(value)
        raise frame.error(f"the group key {by!r} is not a single value", "choose another `split.by`")
    raise frame.error(f"has no info key {by!r} to group by", f"available: {_available(frame.atoms)}")


def _candidates(atoms: Atoms, key: str) -> Iterator[Any]:
    """Every value stored under `key`, calculator first."""
    results = getattr(atoms.calc, "results", {})
    for store in (results, atoms.info, atoms.info.get("key_value_pairs"), atoms.info.get("data"), atoms.arrays):
        if isinstance(store, dict) and store.get(key) is not None:
            yield store[key]


def _numbers(frame: Frame, key: str, name: str) -> np.ndarray:
    """What a structure as read stores under `key`, float64."""
    values = list(_candidates(frame.atoms, key))
    if not values:
        hint = f"set `keys.{name}` to one of: {_available(frame.atoms)}"
        raise frame.error(f"no {name} under the key {key!r}", hint)
    if not all(np.array_equal(values[0], other) for other in values[1:]):
        raise frame.error(
            f"the key {key!r} is stored twice with different values (calculator and info or arrays)",
            "remove one of the two or give it another name",
        )
    try:
        # Booleans are what extxyz makes of a key without a value.
        if np.asarray(values[0]).dtype.kind not in "iuf":
            raise ValueError
        return np.array(values[0], dtype=np.float64)
    except (ValueError, TypeError):
        raise frame.error(f"{name} is not numeric", "check the file") from None


def _available(atoms: Atoms) -> str:
    stores = (getattr(atoms.calc, "results", {}), atoms.info, atoms.info.get("key_value_pairs"), atoms.arrays)
    names = {str(key) for store in stores if isinstance(store, dict) for key in store}
    return ", ".join(sorted(names - {"numbers", "positions", "key_value_pairs", "unique_id"})) or "(nothing)"
