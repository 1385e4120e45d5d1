"""Dipole labels: files refer to the origin of their coordinates, frames to the centre of mass."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.io import write

from mlff.data import DataError, DataKeys, DataUnits, read_frames
from mlff.data.labels import build_frame
from mlff.graph import Quantity, origin_shift

ORIGIN = np.array([120.0, -80.0, 40.0])  # Å, where the fragment lies
ABOUT_MASS = np.array([0.3, -0.2, 0.1])  # e·Å


def hydroxide(charge: float | None, key: str = "charge") -> Atoms:
    """With the moment that a program writes which takes the origin of the coordinates as reference."""
    atoms = molecule("OH")
    atoms.positions += ORIGIN
    if charge is not None:
        atoms.info[key] = charge
    atoms.info["mu"] = ABOUT_MASS + (charge or 0.0) * atoms.get_center_of_mass()
    atoms.info["energy"], atoms.arrays["forces"] = -1.0, np.zeros((2, 3))
    return atoms


@pytest.mark.parametrize(("charge", "key"), [(-1, "charge"), (2.0, "total_charge"), (0, "charge"), (None, "charge")])
@pytest.mark.parametrize("suffix", ["xyz", "traj"])
def test_moments_of_charged_fragments_refer_to_the_centre_of_mass(tmp_path, charge, key, suffix):
    atoms = hydroxide(charge, key)
    if suffix == "traj":  # no arrays of other names
        atoms.info["forces"] = atoms.arrays.pop("forces")
    write(tmp_path / f"x.{suffix}", atoms, format="extxyz" if suffix == "xyz" else "traj")
    (frame,) = read_frames(tmp_path / f"x.{suffix}", keys=DataKeys(dipole="mu"))
    assert frame.labels["dipole"] == pytest.approx(ABOUT_MASS, abs=1e-5)


def test_a_shift_of_all_coordinates_changes_the_value_in_the_file_but_not_the_label(tmp_path):
    near, far = hydroxide(-1), hydroxide(-1)
    far.positions += ORIGIN
    far.info["mu"] = near.info["mu"] - ORIGIN
    write(tmp_path / "x.xyz", [near, far], format="extxyz")
    first, second = read_frames(tmp_path / "x.xyz", keys=DataKeys(dipole="mu"))
    assert not np.allclose(near.info["mu"], far.info["mu"])
    assert first.labels["dipole"] == pytest.approx(second.labels["dipole"], abs=1e-5)


def test_units_are_converted_before_the_centre_of_mass_is_subtracted(tmp_path):
    """Debye for the moment, Bohr for coordinates."""
    atoms = hydroxide(-1)
    atoms.info["mu"] = atoms.info["mu"] / units.Debye
    atoms.positions /= units.Bohr
    write(tmp_path / "x.xyz", atoms, format="extxyz")
    chosen = DataUnits(length="Bohr", dipole="Debye")
    (frame,) = read_frames(tmp_path / "x.xyz", keys=DataKeys(dipole="mu"), units=chosen)
    assert frame.labels["dipole"] == pytest.approx(ABOUT_MASS, abs=1e-5)


def test_the_row_decides_which_values_an_origin_moves_and_in_which_unit():
    """A row in Debye: the charge times its arm counts in Debye, too."""
    kind = {"per": "structure", "irreps": "1o", "periodic": False, "origin": "centre of mass"}
    row = Quantity("moment", **kind, unit="Debye", factors={"e·Å": 1 / units.Debye})
    atoms = hydroxide(None)
    shift = origin_shift(row, atoms, -1.0)
    assert shift * units.Debye == pytest.approx(-atoms.get_center_of_mass(), abs=1e-12)
    assert not origin_shift(replace(row, origin=None), atoms, -1.0).any()
    with pytest.raises(ValueError, match=r"unknown unit .*e·Å"):
        Quantity("moment", **kind, unit="Debye")
    for other in ({"irreps": "2e"}, {"per": "atom"}, {"irreps": "1e"}, {"periodic": True}):
        with pytest.raises(ValueError, match="only vectors"):
            replace(row, **other)


def test_charges_of_atoms_under_the_name_of_the_total_charge_are_none():
    atoms = hydroxide(None)
    atoms.info["data"] = {"charge": [-0.9, -0.1]}  # as of a database row
    frame = build_frame(atoms, Path("x.db"), 0, keys=DataKeys(dipole="mu"), units=DataUnits())
    assert frame.labels["dipole"] == pytest.approx(ABOUT_MASS)


def test_a_charge_in_words_is_refused_with_its_frame(tmp_path):
    atoms = hydroxide(None)
    atoms.info["charge"] = "minus"
    write(tmp_path / "x.xyz", atoms, format="extxyz")
    with pytest.raises(DataError, match="frame 0: charge is no number"):
        read_frames(tmp_path / "x.xyz", keys=DataKeys(dipole="mu"))


def test_dipoles_of_periodic_structures_are_refused(tmp_path):
    atoms = hydroxide(None)
    atoms.cell, atoms.pbc = np.diag([9.0, 9.0, 9.0]), True
    write(tmp_path / "x.xyz", atoms, format="extxyz")
    with pytest.raises(DataError, match="a periodic structure has no dipole moment; set pbc to F"):
        read_frames(tmp_path / "x.xyz", keys=DataKeys(dipole="mu"))
    assert len(read_frames(tmp_path / "x.xyz")) == 1
