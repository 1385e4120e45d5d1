"""Dynamics in PyTorch: forces are OpenMM's, steps keep energy, lengths and the canonical distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlff.sampling.building import force_field
from mlff.sampling.engine import LangevinStep, langevin_step
from mlff.sampling.peptides import Peptide, capped_peptide, minimise
from mlff.support.errors import InputError

pytestmark = pytest.mark.usefixtures("peptide_packages")

DOUBLE = torch.float64


def system_of(peptide: Peptide, solvent: str = "gbn2"):  # type: ignore[no-untyped-def]
    from openmm import unit
    from openmm.app import ForceField, HBonds, NoCutoff

    known = solvent in ("gbn2", "none")
    files = force_field(solvent) if known else ForceField("amber14-all.xml", f"implicit/{solvent}.xml")  # type: ignore[arg-type]
    return files.createSystem(
        peptide.topology,
        nonbondedMethod=NoCutoff,
        constraints=HBonds,
        hydrogenMass=4 * unit.amu,
        removeCMMotion=False,
    )


def step_of(peptide: Peptide, system: object, **changed: float) -> LangevinStep:
    conditions = {"time_step": 0.004, "temperature": 300.0, "friction": 1.0} | changed
    return langevin_step(system, torch.from_numpy(0.1 * peptide.positions), dtype=DOUBLE, **conditions)  # type: ignore[arg-type]


def copies_of(positions: np.ndarray) -> torch.Tensor:
    """[C,N,3] → [3,N,C]."""
    return torch.from_numpy(positions).permute(2, 1, 0).contiguous()


def openmm_forces(system: object, positions: np.ndarray) -> tuple[float, np.ndarray]:
    from openmm import Context, Platform, VerletIntegrator

    context = Context(system, VerletIntegrator(0.001), Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    state = context.getState(getForces=True, getEnergy=True)
    return state.getPotentialEnergy()._value, np.array(state.getForces(asNumpy=True)._value)


@pytest.mark.parametrize(
    ("sequence", "solvent"),
    [
        ("A", "gbn2"),
        ("GP", "gbn2"),
        ("WD", "gbn2"),
        ("KC", "gbn2"),
        ("MH", "none"),
        ("RS", "obc2"),
        ("Y", "hct"),
        ("V", "gbn"),
    ],
)
def test_energies_and_forces_are_those_of_openmm(sequence: str, solvent: str) -> None:
    """Every force of AMBER14, and implicit waters of OpenMM, read from its own expressions."""
    peptide = minimise(capped_peptide(sequence), "none")
    rng = np.random.default_rng(0)
    positions = 0.1 * peptide.positions + rng.normal(scale=0.005, size=(3, *peptide.positions.shape))
    system = system_of(peptide, solvent)
    energies, forces = step_of(peptide, system).forces(copies_of(positions))
    for k, one in enumerate(positions):
        energy, wanted = openmm_forces(system, one)
        assert energies[k].item() == pytest.approx(energy, rel=1e-9, abs=1e-7)
        assert np.abs(forces[..., k].T.numpy() - wanted).max() < 1e-9 * np.abs(wanted).max()


def test_torsions_of_any_phase_are_those_of_openmm() -> None:
    from openmm import PeriodicTorsionForce

    peptide = capped_peptide("A")
    positions = 0.1 * peptide.positions + np.random.default_rng(0).normal(
        scale=0.005, size=(2, *peptide.positions.shape)
    )
    system = system_of(peptide, "none")
    force = PeriodicTorsionForce()
    for periodicity in range(1, 7):
        force.addTorsion(4, 6, 8, 14, periodicity, 0.7 * periodicity, 3.0 + periodicity)
    system.addForce(force)
    energies, forces = step_of(peptide, system).forces(copies_of(positions))
    for k, one in enumerate(positions):
        energy, wanted = openmm_forces(system, one)
        assert energies[k].item() == pytest.approx(energy, rel=1e-9)
        assert np.abs(forces[..., k].T.numpy() - wanted).max() < 1e-9 * np.abs(wanted).max()


def test_velocities_of_any_size_lose_what_changes_fixed_bonds() -> None:
    peptide = capped_peptide("V")
    system = system_of(peptide)
    step = step_of(peptide, system, temperature=600.0)
    positions, _ = run(step, constrained_start(peptide, system), 8, 200)
    noise = torch.randn(positions.shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(5))
    velocities = step.draw(noise, positions)
    for k in range(system.getNumConstraints()):
        i, j, length = system.getConstraintParameters(k)
        along = ((positions[:, i] - positions[:, j]) * (velocities[:, i] - velocities[:, j])).sum(0) / length._value
        assert along.abs().max() < 1e-3  # nm/ps, of about 1


def test_forces_of_other_kinds_are_refused() -> None:
    from openmm import CMAPTorsionForce, CustomBondForce

    peptide = capped_peptide("G")
    for force in (CustomBondForce("r"), CMAPTorsionForce()):
        system = system_of(peptide)
        system.addForce(force)
        with pytest.raises(InputError, match=f"{type(force).__name__} are not known"):
            step_of(peptide, system)


def test_cutoffs_are_refused() -> None:
    from openmm import CustomGBForce, NonbondedForce

    peptide = capped_peptide("G")
    for kind, words in ((NonbondedForce, "without cutoff only"), (CustomGBForce, "without cutoff and exclusions")):
        system = system_of(peptide)
        (force,) = [force for force in system.getForces() if isinstance(force, kind)]
        force.setNonbondedMethod(force.CutoffNonPeriodic)
        with pytest.raises(InputError, match=words):
            step_of(peptide, system)


def run(step: LangevinStep, start: np.ndarray, copies: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    positions = copies_of(np.repeat(start[None], copies, axis=0))
    velocities = step.draw(torch.randn(positions.shape, dtype=DOUBLE, generator=generator), positions)
    for _ in range(steps):
        noise = torch.randn(positions.shape, dtype=DOUBLE, generator=generator)
        positions, velocities = step(positions, velocities, noise)
    return positions, velocities


def constrained_start(peptide: Peptide, system: object) -> np.ndarray:
    """Minimised, nm, with all fixed bonds of the right length."""
    from openmm import Context, LocalEnergyMinimizer, Platform, VerletIntegrator

    context = Context(system, VerletIntegrator(0.001), Platform.getPlatformByName("Reference"))
    context.setPositions(0.1 * peptide.positions)
    LocalEnergyMinimizer.minimize(context, 1.0)
    context.applyConstraints(1e-10)
    return np.array(context.getState(getPositions=True).getPositions(asNumpy=True)._value)


def test_fixed_bonds_keep_their_lengths() -> None:
    peptide = capped_peptide("V")
    system = system_of(peptide)
    step = step_of(peptide, system)
    positions, velocities = run(step, constrained_start(peptide, system), 4, 100)
    assert system.getNumConstraints() == 16
    for k in range(system.getNumConstraints()):
        i, j, length = system.getConstraintParameters(k)
        bond = positions[:, i] - positions[:, j]
        assert bond.square().sum(0).sqrt().numpy() == pytest.approx(length._value, rel=1e-6)
    tangent = step.tangent(velocities, positions)
    for k in range(system.getNumConstraints()):
        i, j, _ = system.getConstraintParameters(k)
        along = ((positions[:, i] - positions[:, j]) * (tangent[:, i] - tangent[:, j])).sum(0)
        assert along.abs().max() < 1e-6


@pytest.mark.parametrize("time_step", [0.001, 0.002])
def test_energy_is_conserved_without_friction(time_step: float) -> None:
    """Leapfrog: the kinetic energy is that of the mean of velocities before and after half a step."""
    peptide = capped_peptide("A")
    system = system_of(peptide)
    step = step_of(peptide, system, friction=0.0, time_step=time_step)
    positions = copies_of(constrained_start(peptide, system)[None])
    generator = torch.Generator().manual_seed(1)
    zeros = torch.zeros_like(positions)
    velocities = step.draw(torch.randn(positions.shape, dtype=DOUBLE, generator=generator), positions)
    masses = 1 / step.inverse_masses
    totals = []
    for k in range(500):
        energy, forces = step.forces(positions)
        # Velocities belong to half a step before.
        here = step.tangent(velocities + 0.5 * time_step * step.inverse_masses * forces, positions)
        if k >= 1:
            totals.append((energy + 0.5 * (masses * here.square()).sum((0, 1))).item())
        positions, velocities = step(positions, velocities, zeros)
    # An error of second order: 4 times as large in steps of double length.
    assert np.std(totals) < 0.06 * (time_step / 0.001) ** 2
    first, last = np.mean(totals[:250]), np.mean(totals[-250:])
    assert abs(last - first) < 0.03 * (time_step / 0.001) ** 2


def test_steps_are_those_of_openmm() -> None:
    """Without noise a trajectory is the same, step by step."""
    from openmm import Context, LangevinMiddleIntegrator, Platform

    peptide = capped_peptide("S")
    system = system_of(peptide)
    start = constrained_start(peptide, system)
    step = step_of(peptide, system, temperature=0.0)
    rng = np.random.default_rng(0)
    positions = copies_of(start[None])
    velocities = step.tangent(copies_of(rng.normal(scale=0.5, size=(1, *start.shape))), positions)
    integrator = LangevinMiddleIntegrator(0.0, 1.0, 0.004)
    integrator.setConstraintTolerance(1e-10)
    context = Context(system, integrator, Platform.getPlatformByName("Reference"))
    context.setPositions(start)
    context.setVelocities(velocities[..., 0].T.numpy())
    for _ in range(50):
        integrator.step(1)
        positions, velocities = step(positions, velocities, torch.zeros_like(positions))
    state = context.getState(getPositions=True, getVelocities=True)
    assert np.abs(positions[..., 0].T.numpy() - state.getPositions(asNumpy=True)._value).max() < 1e-7
    assert np.abs(velocities[..., 0].T.numpy() - state.getVelocities(asNumpy=True)._value).max() < 1e-5
    assert np.abs(positions[..., 0].T.numpy() - start).max() > 0.02
