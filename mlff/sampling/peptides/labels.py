"""Energies, forces and dipole moments by GFN2-xTB (Bannwarth, Ehlert, Grimme, JCTC 15, 1652 (2019)) with tblite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree, kB
from numpy.typing import NDArray
from pydantic import Field

from mlff.sampling.packages import require_packages
from mlff.support.errors import NotConvergedError
from mlff.support.settings import Section

METHOD = "GFN2-xTB"
# Unpaired electrons of the atoms' ground states (Hund).
_UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "S": 2}


class LabelConfig(Section):
    """Settings of the self-consistent field."""

    accuracy: float = Field(default=0.1, ge=1e-4, le=1e3, description="of tblite; 1 is its default, smaller is tighter")
    max_iterations: int = Field(default=250, ge=1)
    electronic_temperature: float = Field(default=300.0, gt=0, description="K, Fermi smearing")


class Label(NamedTuple):
    """What GFN2-xTB says of a molecule.

    Attributes:
        energy: eV; free energy of the smeared electrons, whose derivative the forces are.
        forces: [N,3], eV/Å.
        dipole: [3], e·Å about the origin of the coordinates, on which that of an ion depends.
    """

    energy: float
    forces: NDArray[np.float64]
    dipole: NDArray[np.float64]


def label(
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    charge: int,
    settings: LabelConfig | None = None,
    unpaired: int = 0,
) -> Label:
    """Label of one molecule in vacuum. Each call starts from the same guess, so labels do not depend on their order.

    Args:
        numbers: [N] atomic numbers.
        positions: [N,3], Å.
        charge: total charge, e.
        unpaired: number of unpaired electrons.

    Raises:
        NotConvergedError: the self-consistent field did not converge, or gave no finite numbers.
        InputError: tblite is not installed.
    """
    require_packages("tblite")
    from tblite.interface import Calculator

    settings = settings or LabelConfig()
    calculator = Calculator(METHOD, numbers, positions / Bohr, charge=float(charge), uhf=unpaired)
    calculator.set("verbosity", 0)
    calculator.set("accuracy", settings.accuracy)
    calculator.set("max-iter", settings.max_iterations)
    # tblite counts this temperature as an energy: kT in Hartree.
    calculator.set("temperature", settings.electronic_temperature * kB / Hartree)
    try:
        result = calculator.singlepoint()
        energy, forces = float(result["energy"]) * Hartree, -np.asarray(result["gradient"]) * (Hartree / Bohr)
        dipole = np.asarray(result["dipole"]) * Bohr
    except RuntimeError as error:
        raise NotConvergedError(str(error)) from error
    if not all(np.all(np.isfinite(values)) for values in (energy, forces, dipole)):
        raise NotConvergedError("energy, forces or dipole moment are not finite")
    return Label(energy, forces, dipole)


def isolated_atom_energies(settings: LabelConfig | None = None) -> dict[str, float]:
    """Energies (eV) of the free neutral atoms H, C, N, O, S in their ground-state multiplicity.

    Raises:
        InputError: tblite is not installed.
    """
    energies = {}
    for symbol, unpaired in _UNPAIRED.items():
        number = np.array([atomic_numbers[symbol]])
        energies[symbol] = label(number, np.zeros((1, 3)), 0, settings, unpaired).energy
    return energies
