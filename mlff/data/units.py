"""Unit names accepted in data configurations and their values in eV and A (from ``ase.units``, CODATA)."""

from __future__ import annotations

from typing import Literal, get_args

from ase import units

EnergyUnit = Literal["eV", "meV", "kcal/mol", "kJ/mol", "Hartree", "Rydberg"]
LengthUnit = Literal["A", "Bohr", "nm"]
StressUnit = Literal["eV/A^3", "GPa", "kbar"]

#: Value of one unit of energy in eV, of length in A, of stress in eV/A^3.
ENERGY: dict[str, float] = {
    "eV": units.eV,
    "meV": 1e-3 * units.eV,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
    "Rydberg": units.Rydberg,
}
LENGTH: dict[str, float] = {"A": units.Angstrom, "Bohr": units.Bohr, "nm": units.nm}
STRESS: dict[str, float] = {"eV/A^3": 1.0, "GPa": units.GPa, "kbar": 0.1 * units.GPa}


def force_factor(unit: str) -> float:
    """Value of one force `unit` in eV/A; the unit is written ``<energy>/<length>``, as in ``kcal/mol/A``.

    Raises:
        ValueError: the energy or the length is not a known unit name.
    """
    energy, _, length = unit.rpartition("/")
    if energy not in ENERGY or length not in LENGTH:
        raise ValueError(
            f"unknown force unit {unit!r}: write <energy>/<length> with an energy of {', '.join(get_args(EnergyUnit))} "
            f"and a length of {', '.join(get_args(LengthUnit))}"
        )
    return ENERGY[energy] / LENGTH[length]
