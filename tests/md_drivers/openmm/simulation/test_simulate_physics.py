"""Laws of the ensembles."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from ase import Atoms, units
from openmm import unit
from scipy import stats
from support.openmm_systems import read_positions
from support.pdb_files import write_pdb

from md_drivers import SimulationSettings, simulate
from md_drivers.common.trajectory_files import read_table
from md_drivers.openmm.simulation.structure import read_structure
from md_drivers.openmm.simulation.system import assemble, make_integrator


@pytest.fixture(scope="module")
def droplet_file(tmp_path_factory):
    """Formaldehyde and ammonia's atoms as a compact cluster, where the toy potential holds them."""
    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3), -1).reshape(-1, 3)
    atoms = Atoms("COHNCHOH", 1.35 * grid + np.random.default_rng(5).normal(0, 0.02, (8, 3)))
    return write_pdb(tmp_path_factory.mktemp("structures") / "droplet.pdb", atoms)


def test_energy_is_conserved(droplet_file, toy_path, tmp_path):
    """2 ps of leapfrog Verlet at 0.5 fs in float64; the bar is that of the benchmark, 20 ps."""
    settings = SimulationSettings(ensemble="nve", temperature=600.0, time_step=0.5, report_interval=20, seed=1)
    result = simulate(droplet_file, toy_path, tmp_path / "nve", steps=4000, settings=settings)
    table = read_table(result.folder / "state.csv")
    assert table["time_ps"][-1] == pytest.approx(2.0)
    assert result.temperature > 200.0  # half of the start went into the potential
    slope = np.polyfit(table["time_ps"], table["total_eV"] / 8, 1)[0]
    assert abs(slope) <= 1e-5
    assert np.std(table["total_eV"]) < 0.02 * np.std(table["kinetic_eV"])


def test_kinetic_energies_follow_the_chi_square_law(droplet_file, toy_path, tmp_path):
    """2 K / kT of Langevin dynamics has the chi-square law of all degrees of freedom but the motion of the whole.

    OpenMM stops that before a step, and the random forces of the step bring 1 - exp(-2 γ Δt) of its energy back:
    nothing at usual frictions, but here γ = 100/ps makes samples 15 fs apart independent (correlation exp(-3)).
    """
    temperature, friction, time_step = 350.0, 0.1, 1.0  # K, 1/fs, fs
    settings = SimulationSettings(
        temperature=temperature, friction=1e3 * friction, time_step=time_step, report_interval=15, seed=2
    )
    result = simulate(droplet_file, toy_path, tmp_path / "nvt", steps=8000, settings=settings)
    samples = 2.0 * read_table(result.folder / "state.csv")["kinetic_eV"][20:] / (units.kB * temperature)
    inner, whole = stats.chi2(3 * 8 - 3), stats.chi2(3)
    returned = (1.0 - np.exp(-2.0 * friction * time_step)) * whole.ppf((np.arange(400) + 0.5) / 400)

    def law(x):
        return inner.cdf(x[:, None] - returned).mean(axis=1)

    assert stats.kstest(samples, law).pvalue > 1e-3
    # The test has teeth: a temperature 10 % off, or three degrees of freedom more or less, would be noticed.
    for wrong in (0.9 * samples, 1.1 * samples, samples - 3.0, samples + 3.0):
        assert stats.kstest(wrong, law).pvalue < 1e-3


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
def test_the_whole_stays_where_it_is(droplet_file, toy_path, tmp_path, ensemble):
    settings = SimulationSettings(ensemble=ensemble, friction=10.0, report_interval=100, minimize=False)
    result = simulate(droplet_file, toy_path, tmp_path / ensemble, steps=400, settings=settings)
    structure = read_structure(droplet_file, None)
    masses = np.array([atom.element.mass._value for atom in structure.topology.atoms()])
    frames = read_positions(result.folder / "trajectory.dcd", structure.topology)
    centres = np.einsum("tnx,n->tx", frames, masses) / masses.sum()
    # A free particle of this mass would go 0.5 A in these 0.2 ps.
    assert np.abs(centres - masses @ structure.positions / masses.sum()).max() < (1e-4 if ensemble == "nve" else 0.03)


def test_a_start_at_rest(droplet_file, toy_path, tmp_path):
    """Temperature 0: nothing but falling, so energy comes from the potential alone."""
    settings = SimulationSettings(ensemble="nve", temperature=0.0, report_interval=1, minimize=False, time_step=0.1)
    result = simulate(droplet_file, toy_path, tmp_path / "rest", steps=20, settings=settings)
    table = read_table(result.folder / "state.csv")
    assert table["temperature_K"][0] < 1.0
    assert table["kinetic_eV"][-1] > table["kinetic_eV"][0]
    assert np.ptp(table["total_eV"]) < 0.01 * np.ptp(table["kinetic_eV"]) + 1e-9


def test_what_the_ensembles_are_made_of(oxygen_file, toy, tmp_path):
    structure, made = read_structure(oxygen_file, None), {}
    for ensemble in ("nve", "nvt", "npt"):
        settings = SimulationSettings(ensemble=ensemble, temperature=250.0, pressure=7.0, friction=3.0, time_step=0.4)
        assembly = assemble(structure, toy, settings, tmp_path / "failure.extxyz", 1)
        made[ensemble] = {force.getName(): force for force in assembly.system.getForces()}
        integrator = make_integrator(settings, 1)
        assert integrator.getStepSize().value_in_unit(unit.femtosecond) == pytest.approx(0.4)
        assert isinstance(integrator, openmm.VerletIntegrator if ensemble == "nve" else openmm.LangevinMiddleIntegrator)
        assert assembly.degrees_of_freedom == 3 * 27 - 3
    assert integrator.getTemperature()._value == 250.0
    assert integrator.getFriction().value_in_unit(unit.picosecond**-1) == 3.0
    assert set(made["nve"]) == {"mlff toy", "molecules"}
    assert set(made["nvt"]) == {*made["nve"], "CMMotionRemover"}
    assert set(made["npt"]) == {*made["nvt"], "MonteCarloBarostat"}
    barostat = made["npt"]["MonteCarloBarostat"]
    assert barostat.getDefaultPressure().value_in_unit(unit.bar) == pytest.approx(7.0)
    assert barostat.getDefaultTemperature().value_in_unit(unit.kelvin) == 250.0
