"""Energy conservation of a shipped checkpoint."""

import numpy as np
import pytest
from ase import units
from ase.build import add_adsorbate, fcc100
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

import mlff
from md_drivers import MLFFCalculator

PICOSECONDS = 2.0
TIME_STEP = 1.0  # fs


@pytest.mark.skipif("co2-ni100" not in mlff.available(), reason="the checkpoint is not shipped with this copy")
def test_total_energy_does_not_drift():
    """Slope of the total energy ≤ 1e-4 eV/atom/ps over 2 ps from a 300 K start, velocity Verlet at 1 fs, float64.

    The cell is smaller than that of the training data to keep the test short; `benchmarks/physics` runs the full one.
    """
    atoms = fcc100("Ni", (2, 2, 2), a=3.52, vacuum=8.0, periodic=True)
    add_adsorbate(atoms, "O", 0.9, "hollow")
    atoms.calc = MLFFCalculator("co2-ni100", dtype="float64")
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, TIME_STEP * units.fs)
    times, energies, kinetic = [], [], []

    def record() -> None:
        times.append(dynamics.get_time() / (1000.0 * units.fs))
        energies.append(atoms.get_total_energy() / len(atoms))
        kinetic.append(atoms.get_kinetic_energy() / len(atoms))

    dynamics.attach(record, interval=10)
    dynamics.run(round(PICOSECONDS * 1000.0 / TIME_STEP))
    slope = np.polyfit(times, energies, 1)[0]
    assert abs(slope) <= 1e-4
    assert np.ptp(energies) < 0.1 * np.std(kinetic)
    assert 0 < atoms.calc.neighbor_statistics.rebuilds < len(times)
