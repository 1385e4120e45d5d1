"""Jumps in an OpenMM simulation: where atoms end, energies, repeatability, refusals."""

from __future__ import annotations

import ase.units
import numpy as np
import pytest

import md_drivers
from md_drivers.jumps import JumpFailed, OpenMMJumper

openmm = pytest.importorskip("openmm")
app, unit = pytest.importorskip("openmm.app"), openmm.unit
KJ_MOL = ase.units.kJ / ase.units.mol


def simulation(dipeptide, *, constraints=None, solvent=()):
    """In vacuum, at 300 K."""
    pdb = app.PDBFile(str(dipeptide))
    system = app.ForceField("amber14-all.xml", *solvent).createSystem(pdb.topology, constraints=constraints)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.001)
    integrator.setRandomNumberSeed(1)
    made = app.Simulation(pdb.topology, system, integrator, openmm.Platform.getPlatformByName("Reference"))
    made.context.setPositions(pdb.positions)
    return made


def energy(made) -> float:
    return made.context.getState(energy=True).getPotentialEnergy()._value * KJ_MOL


def test_without_a_minimisation_the_atoms_are_where_the_jump_put_them(dipeptide, jump):
    made = simulation(dipeptide)
    jumper = OpenMMJumper(made, jump, 10.0, seed=2, minimize_iterations=0)
    old = jumper.positions()
    expected = OpenMMJumper(simulation(dipeptide), jump, 10.0, seed=2).jumper.jump(old)
    record = jumper.jump()
    np.testing.assert_allclose(jumper.positions(), expected, rtol=0, atol=1e-10)
    assert np.abs(expected - old)[jumper.jumper.heavy].max() > 0.01
    assert (record.jump, record.time, record.moved) == (1, 10.0, 0.0)
    assert record.minimized == record.jumped == pytest.approx(energy(made))


def test_springs_hold_the_heavy_atoms(dipeptide, jump):
    moved = []
    for restraint in (0.0, 1.0, 1000.0):
        jumper = OpenMMJumper(simulation(dipeptide), jump, 10.0, restraint=restraint)
        record = jumper.jump()
        assert record.minimized < record.jumped
        moved.append(record.moved)
    assert moved[0] > moved[1] > moved[2] > 0.0
    assert moved[2] < 2e-3


@pytest.mark.parametrize(
    ("constraints", "solvent"),
    [(None, ()), (app.HBonds, ("implicit/gbn2.xml",))],
    ids=["flexible, in vacuum", "constrained, in implicit water"],
)
def test_energies_stay_in_the_range_of_molecular_dynamics(dipeptide, jump, constraints, solvent):
    reference = simulation(dipeptide, constraints=constraints, solvent=solvent)
    reference.minimizeEnergy()
    lowest = energy(reference)
    reference.context.setVelocitiesToTemperature(300.0, 1)
    energies = []
    for _ in range(10):
        reference.step(40)
        energies.append(energy(reference))
    jumper = OpenMMJumper(reference, jump, 10.0, md_steps=40)
    records = jumper.run(3)
    assert [record.jump for record in records] == [1, 2, 3]
    assert records[-1].time == pytest.approx(3 * (10.0 + 0.04))
    assert reference.currentStep == 520
    assert lowest < min(energies)
    for record in records:
        assert np.isfinite([record.before, record.jumped, record.minimized, record.after]).all()
        assert lowest - 0.5 < record.minimized < max(energies)
        assert record.after < max(energies) + 0.5


def test_new_velocities_have_the_temperature(dipeptide, jump):
    made = simulation(dipeptide, constraints=app.HBonds)
    jumper = OpenMMJumper(made, jump, 10.0, temperature=500.0, minimize_iterations=2)
    freedom = 3 * 22 - made.system.getNumConstraints()
    boltzmann = 8.31446e-3
    temperatures = []
    for _ in range(20):
        jumper.jump()
        kinetic = made.context.getState(energy=True).getKineticEnergy()._value
        temperatures.append(2 * kinetic / (freedom * boltzmann))
    assert np.mean(temperatures) == pytest.approx(500.0, rel=5 * (2 / freedom / 20) ** 0.5)


def test_the_same_seed_repeats(dipeptide, jump):
    final = []
    for seed in (4, 4, 5):
        jumper = OpenMMJumper(simulation(dipeptide), jump, 20.0, seed=seed, md_steps=3)
        jumper.run(2)
        final.append(jumper.positions())
    np.testing.assert_array_equal(final[0], final[1])
    assert np.abs(final[0] - final[2]).max() > 0.01


def test_the_system_of_the_simulation_stays_as_it_is(dipeptide, jump):
    made = simulation(dipeptide)
    before = openmm.XmlSerializer.serialize(made.system)
    OpenMMJumper(made, jump, 10.0).jump()
    assert openmm.XmlSerializer.serialize(made.system) == before


def test_a_jump_that_breaks_the_molecule_is_not_made(dipeptide, stray_path):
    jumper = OpenMMJumper(simulation(dipeptide), stray_path, 10.0)
    old = jumper.positions()
    with pytest.raises(JumpFailed, match="jump 1 broke the molecule: broken chain: C of ACE 1"):
        jumper.run(2)
    np.testing.assert_array_equal(jumper.positions(), old)


def test_periodic_and_solvated_systems_are_refused(dipeptide, jump):
    pdb = app.PDBFile(str(dipeptide))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    field = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
    modeller.addSolvent(field, padding=0.3 * unit.nanometer)
    system = field.createSystem(modeller.topology, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.4)
    boxed = app.Simulation(
        modeller.topology, system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    boxed.context.setPositions(modeller.positions)
    with pytest.raises(md_drivers.StructureError, match="a periodic system cannot jump"):
        OpenMMJumper(boxed, jump, 10.0, temperature=300.0)


def test_wrong_use(dipeptide, jump, model_path):
    made = simulation(dipeptide)
    with pytest.raises(ValueError, match="not trained for a lag of 3 ps"):
        OpenMMJumper(made, jump, 3.0)
    with pytest.raises(ValueError, match="of kind 'potential'"):
        OpenMMJumper(made, model_path, 10.0)
    with pytest.raises(ValueError, match="minimize_iterations"):
        OpenMMJumper(made, jump, 10.0, minimize_iterations=-1)
    with pytest.raises(ValueError, match="restraint"):
        OpenMMJumper(made, jump, 10.0, restraint=-1.0)
    with pytest.raises(ValueError, match="temperature must be positive"):
        OpenMMJumper(made, jump, 10.0, temperature=0.0)
    verlet = app.Simulation(made.topology, made.system, openmm.VerletIntegrator(0.001))
    with pytest.raises(ValueError, match="VerletIntegrator has no temperature"):
        OpenMMJumper(verlet, jump, 10.0)
