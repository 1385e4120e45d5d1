"""Forces in OpenMM: the numbers of the calculator, in every box, on both implementations."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
import torch
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openmm import app
from openmm.unit import angstrom, kelvin
from support.openmm_systems import EV, box_of, context_of, evaluate, positions_of, system_of, topology_of
from support.rounding import rounding

from md_drivers import MLFFCalculator, openmm_force

# Boxes in OpenMM's reduced form: wide and triclinic, and smaller than the cutoff of 4 A in every direction.
TRICLINIC = [[11.0, 0.0, 0.0], [2.5, 10.0, 0.0], [-3.0, 4.0, 10.5]]
SMALL = [[3.3, 0.0, 0.0], [0.7, 3.1, 0.0], [-1.1, 0.9, 3.6]]
TOLERANCE = {"float64": 1e-9, "float32": rounding(torch.float32)}


def frames(dipeptide_atoms: Atoms) -> dict[str, Atoms]:
    vacuum = dipeptide_atoms.copy()
    vacuum.rattle(0.05, seed=1)
    periodic = vacuum.copy()
    periodic.set_cell(TRICLINIC)
    periodic.pbc = True
    periodic.positions[3] += [11.0, 0.0, 0.0]  # an atom that left the box
    small = Atoms("CON", [[0.1, 0.0, 0.2], [1.4, 1.3, 1.2], [0.4, 1.5, 2.6]], cell=SMALL, pbc=True)
    return {"vacuum": vacuum, "triclinic": periodic, "smaller than the cutoff": small}


def assert_like_calculator(context: openmm.Context, calculator: MLFFCalculator, atoms: Atoms, tolerance: float) -> None:
    energy, forces = evaluate(context)
    expected, gradient = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
    assert energy == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(forces, gradient, rtol=0, atol=tolerance * np.abs(gradient).max())
    assert np.abs(gradient).max() > 1e-3


def test_a_box_may_be_the_list_that_a_system_gives(network, dipeptide_atoms) -> None:
    atoms = frames(dipeptide_atoms)["triclinic"]
    topology = topology_of(atoms)
    topology.setPeriodicBoxVectors(system_of(topology).getDefaultPeriodicBoxVectors())
    assert isinstance(topology.getPeriodicBoxVectors(), list)
    force = openmm_force(network, topology, dtype="float64")
    context = context_of(system_of(topology, force), atoms.positions)
    assert_like_calculator(context, MLFFCalculator(network, dtype="float64"), atoms, TOLERANCE["float64"])


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("frame", ["vacuum", "triclinic", "smaller than the cutoff"])
def test_numbers_are_those_of_the_calculator(network, dipeptide_atoms, implementation, frame, dtype, platform) -> None:
    atoms = frames(dipeptide_atoms)[frame]
    topology = topology_of(atoms)
    force = openmm_force(network, topology, dtype=dtype, implementation=implementation)
    context = context_of(system_of(topology, force), atoms.positions, platform)
    calculator = MLFFCalculator(network, dtype=dtype)
    for seed in range(3):  # TorchScript optimizes after the first calls
        moved = atoms.copy()
        moved.rattle(0.02, seed=seed)
        context.setPositions(moved.positions * angstrom)
        assert_like_calculator(context, calculator, moved, TOLERANCE[dtype])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), stretch=st.floats(0.5, 3.0), tilt=st.floats(-0.49, 0.49))
def test_any_box_and_any_place_of_the_atoms(toy, implementation, seed, stretch, tilt) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = stretch * rng.uniform(2.5, 6.0, 3)
    cell = np.array([[a, 0.0, 0.0], [tilt * a, b, 0.0], [-tilt * a, tilt * b, c]])
    spread = rng.uniform(-2.0, 2.0, (6, 3)) @ cell
    atoms = Atoms("HCNOHC", spread, cell=cell, pbc=True)
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(6, 1)]
    if distances.min() < 0.7:  # the wall of Lennard-Jones: forces of 1e6 eV/A say nothing
        return
    topology = topology_of(atoms)
    context = context_of(system_of(topology, openmm_force(toy, topology, implementation=implementation)), spread)
    energy, forces = evaluate(context)
    calculator = MLFFCalculator(toy)
    expected = calculator.get_forces(atoms)
    assert energy == pytest.approx(calculator.get_potential_energy(atoms), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-9 * max(1.0, np.abs(expected).max()))


def test_a_region_sees_its_own_atoms_in_the_order_given(toy, dipeptide_atoms, implementation) -> None:
    far = dipeptide_atoms.copy()
    far.positions += [30.0, 0.0, 0.0]
    both = dipeptide_atoms + far
    region = [*range(43, 21, -1)]
    topology = topology_of(both, 22)
    force = openmm_force(toy, topology, region, implementation=implementation)
    energy, forces = evaluate(context_of(system_of(topology, force), both.positions))
    alone = MLFFCalculator(toy)
    assert energy == pytest.approx(alone.get_potential_energy(far), rel=1e-9)
    np.testing.assert_allclose(forces[22:], alone.get_forces(far), atol=1e-9)
    assert (forces[:22] == 0).all()


def test_a_region_in_a_large_enough_box(toy, dipeptide_atoms, implementation) -> None:
    atoms = dipeptide_atoms + Atoms("O", [[9.0, 9.0, 9.0]])
    atoms.set_cell(TRICLINIC)
    atoms.pbc = True
    topology = topology_of(atoms, 22)
    force = openmm_force(toy, topology, range(22), implementation=implementation)
    context = context_of(system_of(topology, force), atoms.positions)
    energy, forces = evaluate(context)
    calculator = MLFFCalculator(toy)
    assert energy == pytest.approx(calculator.get_potential_energy(atoms[:22]), rel=1e-9)
    np.testing.assert_allclose(forces[:22], calculator.get_forces(atoms[:22]), atol=1e-9)
    # A box that shrinks below two cutoffs is noticed when it does.
    context.setPeriodicBoxVectors(*(np.diag([7.9, 20.0, 20.0]) * angstrom))
    with pytest.raises(openmm.OpenMMException, match=r"two cutoffs|twice its cutoff, 8\.00 A"):
        evaluate(context)


def test_the_parameter_scales_energy_and_forces(toy, dipeptide, dipeptide_atoms, implementation) -> None:
    force = openmm_force(toy, dipeptide.topology, parameter="lambda_ml", implementation=implementation)
    context = context_of(system_of(dipeptide.topology, force), dipeptide_atoms.positions)
    assert dict(context.getParameters()) == {"lambda_ml": 1.0}
    energy, forces = evaluate(context)
    for scale in (0.25, 0.0, -2.0, 1.0):
        context.setParameter("lambda_ml", scale)
        scaled, pulled = evaluate(context)
        assert scaled == pytest.approx(scale * energy, rel=1e-12)
        np.testing.assert_allclose(pulled, scale * forces, rtol=1e-12)


def test_without_parameter_there_is_none(toy, dipeptide, dipeptide_atoms, implementation) -> None:
    force = openmm_force(toy, dipeptide.topology, parameter=None, implementation=implementation)
    context = context_of(system_of(dipeptide.topology, force), dipeptide_atoms.positions)
    assert dict(context.getParameters()) == {}
    assert evaluate(context)[0] == pytest.approx(MLFFCalculator(toy).get_potential_energy(dipeptide_atoms))


def test_force_groups_are_kept_apart(toy, network, dipeptide, dipeptide_atoms, implementation) -> None:
    first = openmm_force(toy, dipeptide.topology, force_group=3, implementation=implementation)
    second = openmm_force(network, dipeptide.topology, force_group=5, parameter="other", implementation=implementation)
    context = context_of(system_of(dipeptide.topology, first, second), dipeptide_atoms.positions)
    expected = {
        3: MLFFCalculator(toy).get_forces(dipeptide_atoms),
        5: MLFFCalculator(network).get_forces(dipeptide_atoms),
    }
    for group, forces in expected.items():
        np.testing.assert_allclose(evaluate(context, groups={group})[1], forces, atol=1e-9)
    np.testing.assert_allclose(evaluate(context)[1], expected[3] + expected[5], atol=1e-9)
    assert evaluate(context, groups={4})[0] == 0.0


def test_a_barostat_changes_the_box_of_the_model(toy, implementation) -> None:
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)
    atoms = Atoms("O27", 1.6 * grid + rng.normal(0, 0.02, (27, 3)), cell=[4.8] * 3, pbc=True)
    topology = topology_of(atoms)
    system = system_of(topology, openmm_force(toy, topology, implementation=implementation))
    barostat = openmm.MonteCarloBarostat(1e4, 300.0, 1)  # bar, K, every step
    barostat.setRandomNumberSeed(5)
    system.addForce(barostat)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 5.0, 0.0005)
    integrator.setRandomNumberSeed(6)
    context = context_of(system, atoms.positions, integrator=integrator)
    calculator = MLFFCalculator(toy)
    volumes = {round(atoms.get_volume(), 6)}
    for _ in range(4):
        integrator.step(10)
        atoms.set_cell(box_of(context))
        atoms.positions = positions_of(context)
        volumes.add(round(atoms.get_volume(), 6))
        assert_like_calculator(context, calculator, atoms, 1e-8)
    assert len(volumes) > 1


def test_two_contexts_at_once(toy, dipeptide, dipeptide_atoms, implementation) -> None:
    system = system_of(dipeptide.topology, openmm_force(toy, dipeptide.topology, implementation=implementation))
    moved = dipeptide_atoms.copy()
    moved.rattle(0.1, seed=4)
    first, second = context_of(system, dipeptide_atoms.positions), context_of(system, moved.positions, "CPU")
    calculator = MLFFCalculator(toy)
    for _ in range(3):
        assert_like_calculator(first, calculator, dipeptide_atoms, 1e-9)
        assert_like_calculator(second, calculator, moved, 1e-9)
    first.getIntegrator().step(5)
    assert_like_calculator(second, calculator, moved, 1e-9)


def test_reinitialising_a_context_keeps_the_force(toy, dipeptide, dipeptide_atoms, implementation) -> None:
    system = system_of(dipeptide.topology, openmm_force(toy, dipeptide.topology, implementation=implementation))
    context = context_of(system, dipeptide_atoms.positions)
    before = evaluate(context)
    system.setParticleMass(0, 4.0)
    context.reinitialize(preserveState=True)
    after = evaluate(context)
    assert after[0] == pytest.approx(before[0], rel=1e-12)
    np.testing.assert_allclose(after[1], before[1], rtol=0, atol=1e-12 * np.abs(before[1]).max())


def test_a_simulation_goes_on_from_its_checkpoint(toy, dipeptide, implementation, tmp_path) -> None:
    def simulation() -> app.Simulation:
        force = openmm_force(toy, dipeptide.topology, implementation=implementation)
        system = system_of(dipeptide.topology, force)
        integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
        integrator.setRandomNumberSeed(11)
        platform = openmm.Platform.getPlatformByName("Reference")
        made = app.Simulation(dipeptide.topology, system, integrator, platform)
        made.context.setPositions(dipeptide.positions)
        made.context.setVelocitiesToTemperature(300 * kelvin, 2)
        return made

    whole = simulation()
    whole.context.setParameter("lambda", 0.5)
    whole.step(10)
    whole.saveCheckpoint(str(tmp_path / "state.chk"))
    whole.step(10)
    continued = simulation()
    continued.loadCheckpoint(str(tmp_path / "state.chk"))
    assert continued.context.getParameter("lambda") == 0.5
    continued.step(10)
    assert continued.currentStep == 20
    np.testing.assert_array_equal(positions_of(continued.context), positions_of(whole.context))


def test_energy_is_conserved(network, dipeptide, implementation) -> None:
    force = openmm_force(network, dipeptide.topology, implementation=implementation)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(
        dipeptide.topology, system_of(dipeptide.topology, force), openmm.VerletIntegrator(0.0005), platform
    )
    simulation.context.setPositions(dipeptide.positions)
    simulation.minimizeEnergy(maxIterations=20)
    simulation.context.setVelocitiesToTemperature(100 * kelvin, 8)
    simulation.step(20)
    total, kinetic = [], []
    for _ in range(60):
        simulation.step(4)
        state = simulation.context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value * EV)
        total.append(state.getPotentialEnergy()._value * EV + kinetic[-1])
    assert np.std(total) < 0.02 * np.std(kinetic)
    assert np.std(kinetic) > 1e-3
