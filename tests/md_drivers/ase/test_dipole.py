"""Dipole moments of charged molecules: the origin that results refer to, and the way through a file to a label."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read, write
from hypothesis import given, settings
from hypothesis import strategies as st
from support.physics_models import make_potential

import mlff
from md_drivers import MLFFCalculator
from md_drivers.common.errors import StructureError
from mlff.data import DataKeys, DataUnits
from mlff.data.labels import build_frame

SHIFTS = st.tuples(*3 * [st.floats(-500.0, 500.0)]).map(lambda shift: np.round(shift, 6))  # Å
CHARGES = st.integers(-3, 3)  # e


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLFFCalculator]:
    path = tmp_path_factory.mktemp("dipole") / "model.pt"
    mlff.export(make_potential(properties=("dipole",), num_layers=1, channels=8, lmax=1, mmax=1).float(), path)
    return MLFFCalculator(path, dtype="float64", ignore=("charge",))


def ion(charge: float, shift: np.ndarray, key: str = "charge") -> Atoms:
    """Of heavy hydrogen, so that its masses are not the standard ones, on which models and files agree."""
    atoms = molecule("CH3CH2OH")
    atoms.positions = np.round(atoms.positions, 6) + shift
    atoms.set_masses(np.where(atoms.numbers == 1, 2.014, atoms.get_masses()))
    atoms.info[key] = charge
    return atoms


@settings(max_examples=15)
@given(charge=CHARGES, shift=SHIFTS, key=st.sampled_from(["charge", "total_charge"]))
def test_what_the_calculator_writes_is_read_back_as_the_output_of_the_model(calculator, charge, shift, key):
    atoms = ion(charge, shift, key)
    atoms.calc = calculator
    atoms.get_forces()
    moment = atoms.get_dipole_moment()
    file = StringIO()
    write(file, atoms, format="extxyz")
    file.seek(0)
    kept = read(file, format="extxyz")
    assert kept.get_dipole_moment() == pytest.approx(moment, abs=1e-6)
    frame = build_frame(kept, Path("x.xyz"), 0, keys=DataKeys(dipole="dipole"), units=DataUnits())
    model = calculator.model
    label = frame.labels["dipole"]
    assert label == pytest.approx(model.evaluate(model.graph(atoms))["dipole"][0].numpy(), abs=1e-7)


@settings(max_examples=15)
@given(charge=CHARGES, shift=SHIFTS)
def test_a_shift_of_the_origin_changes_the_moment_by_the_charge_times_the_shift(calculator, charge, shift):
    here, there = (calculator.get_property("dipole", ion(charge, by)) for by in (np.zeros(3), shift))
    assert there - here == pytest.approx(charge * shift, abs=1e-9)
    assert np.linalg.norm(here) > 1e-3


def test_the_moment_follows_a_change_of_the_charge_and_nothing_else_does(calculator):
    atoms = ion(0, np.array([10.0, 0.0, 0.0]))
    atoms.calc = calculator
    neutral, energy = atoms.get_dipole_moment(), atoms.get_potential_energy()
    atoms.info["charge"] = -1
    standard = Atoms(atoms.numbers, atoms.positions)
    assert atoms.get_dipole_moment() - neutral == pytest.approx(-standard.get_center_of_mass(), abs=1e-12)
    assert atoms.get_potential_energy() == energy
    atoms.info["charge"] = "minus"
    with pytest.raises(StructureError, match=r"charge.* is no number"):
        atoms.get_dipole_moment()
