"""``simulate`` with a force field around the model."""

from __future__ import annotations

import json

import numpy as np
import openmm
import pytest
from openmm import app
from openmm.unit import nanometer
from support.openmm_systems import context_of, evaluate, read_positions

from md_drivers.common.trajectory_files import read_table
from md_drivers.openmm.simulation.settings import FORCE_FIELDS, SimulationSettings
from md_drivers.openmm.simulation.structure import read_structure, select
from md_drivers.openmm.simulation.system import assemble

pytest.importorskip("mdtraj", reason="selections are MDTraj's")
openmmml = pytest.importorskip("openmmml", reason="the extra 'openmm' brings openmmml")


def energy_of(system: openmm.System, structure, parameters=()) -> float:
    caps = system.getNumParticles() - len(structure.positions)
    context = context_of(system, np.vstack([structure.positions, np.zeros((caps, 3))]))
    for name, value in dict(parameters).items():
        context.setParameter(name, value)
    context.computeVirtualSites()
    return evaluate(context)[0]


def classical_system(structure) -> openmm.System:
    forcefield = app.ForceField(*FORCE_FIELDS)
    return forcefield.createSystem(
        structure.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9 * nanometer, constraints=app.HBonds
    )


def test_the_system_is_that_of_openmmml(solvated_file, toy, toy_path, tmp_path):
    structure = read_structure(solvated_file, None)
    settings = SimulationSettings(ml_atoms="not water")
    made = assemble(structure, toy, settings, tmp_path / "failure.extxyz", 1)
    expected = openmmml.MLPotential("mlff", modelPath=toy_path).createMixedSystem(
        structure.topology, classical_system(structure), list(range(22))
    )
    assert energy_of(made.system, structure) == pytest.approx(energy_of(expected, structure), abs=1e-5)
    assert made.ml_atoms == 22
    waters = (structure.topology.getNumAtoms() - 22) // 3
    assert made.degrees_of_freedom == 3 * 22 + 6 * waters - 3
    context = context_of(made.system, structure.positions)
    assert len(context.getMolecules()) == 1 + waters


def test_interpolation_at_its_end_is_the_force_field(solvated_file, toy, tmp_path):
    structure = read_structure(solvated_file, None)
    settings = SimulationSettings(ml_atoms="index 0 to 21", interpolate=0.0)
    made = assemble(structure, toy, settings, tmp_path / "failure.extxyz", 1)
    assert made.parameters == {"lambda_interpolate": 0.0}
    found = energy_of(made.system, structure, made.parameters)
    assert found == pytest.approx(energy_of(classical_system(structure), structure), abs=1e-3)


@pytest.mark.parametrize(("selection", "atoms"), [("not water", 22), ("resname ALA", 10)])
def test_a_peptide_in_water(dynamics, solvated_file, selection, atoms):
    """A whole molecule, and a residue with caps on its cut bonds; the waters stay rigid, the molecules whole."""
    options = {"structure": solvated_file, "ml_atoms": selection, "ensemble": "npt", "platform": "CPU"}
    result = dynamics(**options, steps=30)
    record = json.loads((result.folder / "simulation.json").read_text())
    assert record["ml_atoms"] == atoms
    assert record["platform"] == "CPU"
    table = read_table(result.folder / "state.csv")
    assert ((table["density_g_cm3"] > 0.7) & (table["density_g_cm3"] < 1.2)).all()
    topology = app.PDBFile(str(solvated_file)).topology
    frames = read_positions(result.folder / "trajectory.dcd", topology)
    assert frames.shape == (3, topology.getNumAtoms(), 3)
    bonds = np.array([(bond[0].index, bond[1].index) for bond in topology.bonds()])
    lengths = np.linalg.norm(frames[:, bonds[:, 0]] - frames[:, bonds[:, 1]], axis=-1)
    np.testing.assert_allclose(lengths[:, bonds[:, 0] >= 22], 0.9572, atol=2e-3)
    assert lengths.max() < 5.0
    resumed = dynamics(**options, steps=40, resume=True)
    assert resumed.steps == 40


@pytest.mark.parametrize("selection", ["resname ALA", "index 6 to 15", "residue 2"])
def test_selections(dipeptide, selection):
    assert select(dipeptide.topology, selection) == list(range(6, 16))
