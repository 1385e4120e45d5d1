"""The plug-in for openmm-ml: pure and mixed systems, with the laws that a mixed system obeys."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app
from openmm.unit import angstrom, elementary_charge, nanometer
from support.openmm_systems import EV, atoms_of, context_of, evaluate, settings_of, system_of
from support.toy_potential import export_toy

from md_drivers import MLFFCalculator, StructureError, openmm_force

openmmml = pytest.importorskip("openmmml", reason="the extra 'openmm' brings openmmml")

PEPTIDE = list(range(22))
WATER = {"tip3p": ("amber14/tip3p.xml", "tip3p"), "tip4pew": ("amber14/tip4pew.xml", "tip4pew")}


def potential(path: Path, **options) -> openmmml.MLPotential:
    return openmmml.MLPotential("mlff", modelPath=path, **options)


def solvated(dipeptide: app.PDBFile, water: str) -> tuple[app.ForceField, app.Modeller]:
    """The dipeptide in a box of 18 A, with its classical force field."""
    file, model = WATER[water]
    forcefield = app.ForceField("amber14-all.xml", file)
    modeller = app.Modeller(dipeptide.topology, dipeptide.positions)
    modeller.addSolvent(forcefield, model=model, boxSize=openmm.Vec3(1.8, 1.8, 1.8) * nanometer)
    return forcefield, modeller


@pytest.fixture(scope="module")
def box(dipeptide) -> tuple[app.Topology, np.ndarray, openmm.System]:
    """Topology, positions (A) and classical system of the dipeptide in TIP3P water, PME, constrained bonds to H."""
    forcefield, modeller = solvated(dipeptide, "tip3p")
    system = forcefield.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.7 * nanometer, constraints=app.HBonds
    )
    return modeller.topology, np.array(modeller.positions.value_in_unit(angstrom)), system


@pytest.fixture(scope="module")
def droplet(dipeptide) -> tuple[app.Topology, np.ndarray, openmm.System]:
    """The same with the 12 nearest waters, without box and cutoff: every pair counts, so energies add up exactly."""
    forcefield, modeller = solvated(dipeptide, "tip3p")
    positions = np.array(modeller.positions.value_in_unit(angstrom))
    centre = positions[:22].mean(axis=0)
    waters = [residue for residue in modeller.topology.residues() if residue.name == "HOH"]
    waters.sort(key=lambda residue: np.linalg.norm(positions[next(residue.atoms()).index] - centre))
    modeller.delete(waters[12:])
    modeller.topology.setPeriodicBoxVectors(None)
    system = forcefield.createSystem(modeller.topology, nonbondedMethod=app.NoCutoff, constraints=app.HBonds)
    return modeller.topology, np.array(modeller.positions.value_in_unit(angstrom)), system


@pytest.fixture(scope="module")
def classical_peptide(dipeptide) -> openmm.System:
    """The dipeptide alone, classical; constrained too, since constrained bonds have no energy."""
    forcefield = app.ForceField("amber14-all.xml")
    return forcefield.createSystem(dipeptide.topology, nonbondedMethod=app.NoCutoff, constraints=app.HBonds)


def energy_of(system: openmm.System, positions: np.ndarray) -> float:
    """In eV."""
    return evaluate(context_of(system, positions))[0]


def charges_and_sites(system: openmm.System) -> tuple[list[float], list[int]]:
    nonbonded = next(force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    charges = [
        nonbonded.getParticleParameters(k)[0].value_in_unit(elementary_charge) for k in range(system.getNumParticles())
    ]
    return charges, [k for k in range(system.getNumParticles()) if system.isVirtualSite(k)]


def constraints(system: openmm.System) -> list[tuple[int, int, float]]:
    found = (system.getConstraintParameters(k) for k in range(system.getNumConstraints()))
    return sorted((i, j, length._value) for i, j, length in found)


def test_it_is_registered_and_light() -> None:
    (entry,) = entry_points(group="openmmml.potentials", name="mlff")
    assert entry.value == "md_drivers.openmm.plugin:MLFFPotentialFactory"
    code = (
        "import json, sys, md_drivers, md_drivers.openmm; early = 'openmm' in sys.modules\n"
        "import openmmml\n"
        "print(json.dumps([early, sorted({'torch', 'ase'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [False, []]


def test_a_pure_system(toy_path, dipeptide, dipeptide_atoms, implementation) -> None:
    system = potential(toy_path, implementation=implementation).createSystem(dipeptide.topology)
    energy, forces = evaluate(context_of(system, dipeptide_atoms.positions))
    calculator = MLFFCalculator(toy_path)
    assert energy == pytest.approx(calculator.get_potential_energy(dipeptide_atoms), rel=1e-9)
    np.testing.assert_allclose(forces, calculator.get_forces(dipeptide_atoms), atol=1e-9)
    assert [type(force).__name__ for force in system.getForces()][1:] == ["CMMotionRemover"]


def test_a_pure_periodic_system_with_options(toy_path, dipeptide, dipeptide_atoms) -> None:
    topology = copy.deepcopy(dipeptide.topology)
    topology.setUnitCellDimensions(openmm.Vec3(0.9, 1.0, 0.8) * nanometer)
    made = potential(toy_path, dtype="float64").createSystem(topology, dtype="float32", parameter="scale")
    assert made.usesPeriodicBoundaryConditions()
    context = context_of(made, dipeptide_atoms.positions)
    context.setParameter("scale", 0.5)
    atoms = atoms_of(topology, dipeptide.positions)
    expected = MLFFCalculator(toy_path, dtype="float32").get_potential_energy(atoms)
    assert evaluate(context)[0] == pytest.approx(0.5 * expected, rel=1e-6)


def test_a_mixed_system_is_the_sum_of_its_parts(
    toy_path, droplet, classical_peptide, dipeptide_atoms, implementation
) -> None:
    """Mechanical embedding: classical everything, less the classical peptide, plus the model's peptide."""
    topology, positions, classical = droplet
    mixed = potential(toy_path, implementation=implementation).createMixedSystem(topology, classical, PEPTIDE)
    peptide = dipeptide_atoms.copy()
    peptide.positions = positions[:22]
    expected = (
        energy_of(classical, positions)
        - energy_of(classical_peptide, positions[:22])
        + MLFFCalculator(toy_path).get_potential_energy(peptide)
    )
    assert energy_of(mixed, positions) == pytest.approx(expected, abs=1e-6)


def test_a_mixed_system_in_a_box(toy_path, box, classical_peptide, dipeptide_atoms) -> None:
    """The same with PME, as exactly as its error tolerance and the cutoff within the peptide allow."""
    topology, positions, classical = box
    mixed = potential(toy_path).createMixedSystem(topology, classical, PEPTIDE)
    peptide = dipeptide_atoms.copy()
    peptide.positions = positions[:22]
    difference = energy_of(mixed, positions) - energy_of(classical, positions)
    model, replaced = (
        MLFFCalculator(toy_path).get_potential_energy(peptide),
        energy_of(classical_peptide, positions[:22]),
    )
    assert difference == pytest.approx(model - replaced, abs=5e-3)
    assert abs(model - replaced) > 0.5


@pytest.mark.parametrize("surroundings", ["box", "droplet"])
def test_interpolation_ends_at_both_systems(toy_path, surroundings, request) -> None:
    topology, positions, classical = request.getfixturevalue(surroundings)
    made = potential(toy_path)
    mixed = made.createMixedSystem(topology, classical, PEPTIDE)
    path = made.createMixedSystem(topology, classical, PEPTIDE, interpolate=True)
    context = context_of(path, positions)
    ends = {0.0: evaluate(context_of(classical, positions)), 1.0: evaluate(context_of(mixed, positions))}
    scale = np.abs(ends[0.0][1]).max()
    for weight, (energy, forces) in ends.items():
        context.setParameter("lambda_interpolate", weight)
        found = evaluate(context)
        assert found[0] == pytest.approx(energy, abs=1e-4)  # PME and exceptions are summed in another order
        np.testing.assert_allclose(found[1], forces, rtol=0, atol=1e-5 * scale)
    context.setParameter("lambda_interpolate", 0.3)
    between = 0.7 * ends[0.0][0] + 0.3 * ends[1.0][0]
    assert evaluate(context)[0] == pytest.approx(between, abs=1e-4)
    assert abs(ends[1.0][0] - ends[0.0][0]) > 0.5


@pytest.mark.parametrize("region", [PEPTIDE, list(range(6, 16))], ids=["whole peptide", "one residue, capped"])
def test_forces_of_a_mixed_system_are_derivatives(network_path, droplet, region, implementation) -> None:
    topology, positions, classical = droplet
    mixed = potential(network_path, implementation=implementation).createMixedSystem(topology, classical, region)
    added = mixed.getNumParticles() - classical.getNumParticles()
    assert added == (0 if region == PEPTIDE else 2)  # hydrogens at the two cut bonds
    positions = np.vstack([positions, np.zeros((added, 3))])
    context = context_of(mixed, positions)
    context.computeVirtualSites()
    forces = evaluate(context)[1]
    scale, step = np.abs(forces).max(), 1e-4
    for atom in (4, 8, 14, 16, 22, 23):  # beside and within the region, at the cut bonds, in the water
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                moved = positions.copy()
                moved[atom, axis] += sign * step
                context.setPositions(moved * angstrom)
                context.computeVirtualSites()
                energies.append(evaluate(context)[0])
            assert forces[atom, axis] == pytest.approx((energies[1] - energies[0]) / (2 * step), abs=1e-5 * scale)


def test_capped_bonds_give_the_energy_of_the_capped_fragment(toy_path, droplet, implementation) -> None:
    topology, positions, classical = droplet
    region = list(range(6, 16))
    made = potential(toy_path, implementation=implementation)
    information = made.createMixedSystem(topology, classical, region, forceGroup=4, returnInfo=True)
    mixed = information["system"]
    context = context_of(mixed, np.vstack([positions, np.zeros((2, 3))]))
    context.computeVirtualSites()
    state = context.getState(positions=True)
    atoms = atoms_of(information["topology"], state.getPositions(asNumpy=True))
    fragment = atoms[[*region, len(atoms) - 2, len(atoms) - 1]]
    assert fragment.get_chemical_formula() == "C3H7NO"
    energy, _ = evaluate(context, groups={4})
    assert energy == pytest.approx(MLFFCalculator(toy_path).get_potential_energy(fragment), rel=1e-6)


@pytest.mark.parametrize("water", ["tip3p", "tip4pew"])
@pytest.mark.parametrize("interpolate", [False, True])
def test_charges_constraints_and_virtual_sites_stay(toy_path, dipeptide, water, interpolate) -> None:
    forcefield, modeller = solvated(dipeptide, water)
    topology = modeller.topology
    classical = forcefield.createSystem(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=0.7 * nanometer, constraints=app.HBonds
    )
    mixed = potential(toy_path).createMixedSystem(topology, classical, PEPTIDE, interpolate=interpolate)
    before, after = charges_and_sites(classical), charges_and_sites(mixed)
    assert after == before
    assert len(before[1]) == (0 if water == "tip3p" else sum(r.name == "HOH" for r in topology.residues()))
    assert sum(after[0]) == pytest.approx(0.0, abs=1e-6)
    assert constraints(mixed) == [found for found in constraints(classical) if found[0] >= 22]
    assert len(constraints(classical)) > len(constraints(mixed)) > 300


def test_virtual_sites_stay_without_element(toy_path, dipeptide) -> None:
    forcefield, modeller = solvated(dipeptide, "tip4pew")
    classical = forcefield.createSystem(modeller.topology)
    information = potential(toy_path).createMixedSystem(modeller.topology, classical, range(6, 16), returnInfo=True)
    found, given = list(information["topology"].atoms()), list(modeller.topology.atoms())
    assert [atom.element for atom in found[: len(given)]] == [atom.element for atom in given]
    assert [atom.element.symbol for atom in found[len(given) :]] == ["H", "H"]
    assert information["oldToNew"] == list(range(len(given)))


def test_a_vacuum_system_stays_one_whatever_the_topology_says(toy_path, droplet) -> None:
    topology, positions, classical = droplet
    boxed = copy.deepcopy(topology)
    boxed.setUnitCellDimensions(openmm.Vec3(0.7, 0.7, 0.7) * nanometer)
    made = potential(toy_path)
    energies = [energy_of(made.createMixedSystem(t, classical, PEPTIDE), positions) for t in (topology, boxed)]
    assert energies[1] == energies[0]


def test_a_mixed_system_moves(toy_path, box) -> None:
    """Some steps in the box with a barostat; constraints hold."""
    topology, positions, classical = box
    mixed = potential(toy_path).createMixedSystem(topology, classical, PEPTIDE, interpolate=True)
    mixed.addForce(openmm.MonteCarloBarostat(1.0, 300.0, 2))
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(3)
    context = context_of(mixed, positions, "CPU", integrator)
    context.applyConstraints(1e-6)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=10)
    integrator.step(10)
    state = context.getState(energy=True, positions=True)
    assert np.isfinite(state.getPotentialEnergy()._value * EV)
    moved = state.getPositions(asNumpy=True).value_in_unit(angstrom)
    assert np.linalg.norm(moved[22] - moved[23]) == pytest.approx(0.9572, abs=1e-4)


def test_an_unfitting_pair_is_refused_before_it_crashes(toy_path, droplet) -> None:
    topology, _, classical = droplet
    made = potential(toy_path, implementation="torchforce")
    with pytest.raises(ValueError, match="interpolate=True copies forces"):
        made.createMixedSystem(topology, classical, PEPTIDE, interpolate=True)


def test_wrong_options(toy_path, dipeptide) -> None:
    with pytest.raises(TypeError, match=r"needs modelPath=: .*mlff\.available\(\)"):
        openmmml.MLPotential("mlff")
    with pytest.raises(TypeError, match=r"unknown option\(s\) dtpye; there are device, dtype"):
        potential(toy_path, dtpye="float32")
    with pytest.raises(TypeError, match=r"unknown option\(s\) multiplicity, precison"):
        potential(toy_path).createSystem(dipeptide.topology, precison="single", multiplicity=1)
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt: no such file"):
        potential(toy_path.with_name("nothing.pt"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"skni": 1.0}, TypeError, r"unknown option\(s\) skni; there are device, dtype.*linkAtomDistances"),
        ({"embeding": "mechanical"}, TypeError, r"unknown option\(s\) embeding"),
        ({"charge": 1, "multiplicity": 2}, TypeError, r"unknown option\(s\) multiplicity"),
        ({"precision": "half"}, ValueError, "precision must be single or double, got 'half'"),
        ({"precision": "single", "dtype": "float64"}, ValueError, "contradict each other"),
    ],
)
def test_wrong_options_of_mixed_systems(toy_path, box, options, error, message) -> None:
    topology, _, classical = box
    for call in (potential(toy_path).createMixedSystem, potential(toy_path, dtype="float32").createMixedSystem):
        with pytest.raises(error, match=message):
            call(topology, classical, PEPTIDE, **options)


@pytest.mark.parametrize(("word", "dtype"), [("single", "float32"), ("double", "float64"), (None, "float64")])
def test_precision_is_the_dtype(toy_path, dipeptide, box, word, dtype) -> None:
    """The word of openmm-ml, wherever it is given; the toy has float64 of its own."""
    topology, _, classical = box
    systems = [
        potential(toy_path, precision=word).createSystem(dipeptide.topology),
        potential(toy_path).createSystem(dipeptide.topology, precision=word),
        potential(toy_path).createMixedSystem(topology, classical, PEPTIDE, precision=word),
    ]
    for system in systems:
        force = next(force for force in system.getForces() if isinstance(force, openmm.PythonForce))
        assert settings_of(force).options.dtype == dtype


def test_the_model_does_its_own_long_range(toy_path, box) -> None:
    topology, _, classical = box
    with pytest.raises(ValueError, match="does not support the mlLongRange option"):
        potential(toy_path).createMixedSystem(topology, classical, PEPTIDE, mlLongRange=True)


def test_a_topology_without_bonds(toy_path, droplet) -> None:
    topology, _, classical = droplet
    bare = app.Topology()
    for chain in topology.chains():
        new = bare.addChain()
        for residue in chain.residues():
            copied = bare.addResidue(residue.name, new)
            for atom in residue.atoms():
                bare.addAtom(atom.name, atom.element, copied)
    system = system_of(bare)
    assert system.getNumParticles() == classical.getNumParticles()
    with pytest.raises(StructureError, match=r"no bond of atom 0 \(CH3 of ACE 1\).*createStandardBonds"):
        potential(toy_path).createMixedSystem(bare, system, PEPTIDE)


def test_water_with_virtual_sites_is_no_ml_region(toy_path, dipeptide) -> None:
    forcefield, modeller = solvated(dipeptide, "tip4pew")
    classical = forcefield.createSystem(modeller.topology)
    with pytest.raises(StructureError, match=r"atom 25 \(M of HOH \d+\) has no element .*virtual sites"):
        potential(toy_path).createMixedSystem(modeller.topology, classical, range(22, 26))


def test_unknown_species_and_small_boxes(tmp_path, dipeptide, box) -> None:
    without_nitrogen = export_toy(tmp_path / "without.pt", (1, 6, 8))
    with pytest.raises(StructureError, match=r"not known to model 'without': N, first atom 6 \(N of ALA 2\)"):
        potential(without_nitrogen).createSystem(dipeptide.topology)
    far = export_toy(tmp_path / "far.pt", (1, 6, 7, 8), cutoff=9.5)
    topology, _, classical = box
    with pytest.raises(StructureError, match=r"18\.00 A high along a, .* 19\.00 A"):
        potential(far).createMixedSystem(topology, classical, PEPTIDE)


def test_direct_forces_are_announced(tmp_path, dipeptide) -> None:
    path = export_toy(tmp_path / "direct.pt", (1, 6, 7, 8), conservative=False)
    with pytest.warns(UserWarning, match="predicts forces directly"):
        potential(path)


def test_force_and_plugin_agree_by_name(dipeptide_atoms, dipeptide, toy) -> None:
    """A loaded model is taken as it is."""
    force = openmm_force(toy, dipeptide.topology)
    alone = evaluate(context_of(system_of(dipeptide.topology, force), dipeptide_atoms.positions))
    system = openmmml.MLPotential("mlff", modelPath=toy).createSystem(dipeptide.topology, removeCMMotion=False)
    assert evaluate(context_of(system, dipeptide_atoms.positions))[0] == alone[0]
