"""What the callback of a PythonForce does besides numbers: neighbour list, and failures that say where."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import ase.io
import numpy as np
import openmm
import pytest
from openmm.unit import angstrom, kelvin
from support.openmm_systems import EV, EV_A, context_of, evaluate, positions_of, system_of

from md_drivers import MLFFCalculator, openmm_force
from md_drivers.openmm.computation import Computation, Settings
from md_drivers.openmm.options import ForceOptions
from md_drivers.openmm.region import Region


def computation(model, atoms, particles=None, failure_file="failure.extxyz") -> Computation:
    """The callback of a force for ``atoms`` in vacuum."""
    region = Region(tuple(atoms.numbers.tolist()), particles, partial=particles is not None, box=None)
    options = ForceOptions("cpu", "float64", failure_file=failure_file)
    return Computation(Settings(str(model.path), model.sha256, region, False, options), model)


def test_the_neighbour_list_is_rebuilt_when_the_skin_is_used_up(toy, dipeptide, dipeptide_atoms) -> None:
    compute = computation(toy, dipeptide_atoms)
    assert compute.neighbor_statistics.queries == 0
    context = context_of(system_of(dipeptide.topology, openmm.PythonForce(compute)), dipeptide_atoms.positions)
    context.setVelocitiesToTemperature(300 * kelvin, 1)
    context.getIntegrator().step(100)
    statistics = compute.neighbor_statistics
    assert statistics.queries >= 100
    assert 1 <= statistics.rebuilds <= 10
    moved = np.abs(positions_of(context) - dipeptide_atoms.positions).max()
    assert statistics.rebuilds > 1 or moved < 0.25
    energy, _ = evaluate(context)
    final = dipeptide_atoms.copy()
    final.positions = positions_of(context)
    assert energy == pytest.approx(MLFFCalculator(toy).get_potential_energy(final), rel=1e-9)


def test_threads_may_share_a_computation(toy, dipeptide, dipeptide_atoms) -> None:
    system = system_of(dipeptide.topology, openmm.PythonForce(computation(toy, dipeptide_atoms)))
    frames = [dipeptide_atoms.copy() for _ in range(4)]
    results: dict[int, list[float]] = {}

    def work(k: int) -> None:
        frames[k].rattle(0.1, seed=k)
        context = context_of(system, frames[k].positions)
        results[k] = []
        for _ in range(10):
            context.setPositions(frames[k].positions * angstrom)
            results[k].append(evaluate(context)[0])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calculator = MLFFCalculator(toy)
    for k, energies in results.items():
        np.testing.assert_allclose(energies, calculator.get_potential_energy(frames[k]), rtol=1e-12)


def test_a_scale_of_zero_costs_no_evaluation(toy, dipeptide, dipeptide_atoms, monkeypatch) -> None:
    force = openmm_force(toy, dipeptide.topology)
    context = context_of(system_of(dipeptide.topology, force), dipeptide_atoms.positions)
    context.setParameter("lambda", 0.0)
    monkeypatch.setattr(type(toy), "evaluate", lambda *_, **__: pytest.fail("evaluated"))
    assert evaluate(context)[0] == 0.0


@pytest.fixture
def failing(toy, dipeptide, dipeptide_atoms, tmp_path) -> tuple[openmm.Context, Path]:
    """A context after three steps, and where its failure will be written."""
    file = tmp_path / "failure.extxyz"
    force = openmm_force(toy, dipeptide.topology, failure_file=file)
    context = context_of(system_of(dipeptide.topology, force), dipeptide_atoms.positions)
    context.getIntegrator().step(3)
    return context, file


def test_atoms_without_finite_forces_are_reported(failing) -> None:
    context, file = failing
    good = positions_of(context)
    evaluate(context)
    bad = good.copy()
    bad[17] = bad[3]
    context.setPositions(bad * angstrom)
    message = r"the model gave forces that are not finite .* for atom 3 \(H\) and 1 more at step 3 \(0.0015 ps\)"
    with pytest.raises(openmm.OpenMMException, match=message) as caught:
        evaluate(context)
    assert str(file) in str(caught.value)
    before, now = ase.io.read(file, index=":")
    np.testing.assert_allclose(before.positions, good, atol=1e-7)
    np.testing.assert_allclose(now.positions, bad, atol=1e-7)
    assert now.info["step"] == 3
    assert now.info["time_ps"] == pytest.approx(0.0015)


def test_positions_that_are_not_finite_are_reported(failing) -> None:
    context, file = failing
    positions = positions_of(context)
    positions[5, 1] = np.nan
    context.setPositions(positions * angstrom)
    with pytest.raises(openmm.OpenMMException, match=r"positions are not finite .* for atom 5 \(O\) at step 3"):
        evaluate(context)
    before, now = ase.io.read(file, index=":")
    assert np.isfinite(before.positions).all()
    assert np.isnan(now.positions[5, 1])


def test_an_energy_that_is_not_finite_is_reported(failing, toy, monkeypatch) -> None:
    context, file = failing
    original = type(toy).evaluate

    def evaluate_badly(self, graph, **options):
        outputs = original(self, graph, **options)
        return {**outputs, "energy": outputs["energy"] * np.inf}

    monkeypatch.setattr(type(toy), "evaluate", evaluate_badly)
    with pytest.raises(openmm.OpenMMException, match=r"gave an energy that is not finite .* at step 3"):
        evaluate(context)
    assert file.exists()


def test_a_region_is_reported_with_the_numbers_of_the_system(toy, dipeptide, dipeptide_atoms, tmp_path) -> None:
    topology = dipeptide.topology
    compute = computation(toy, dipeptide_atoms[[9, 4]], (9, 4), str(tmp_path / "f.extxyz"))
    force = openmm.PythonForce(compute)
    force.setParticles([9, 4])
    positions = dipeptide_atoms.positions.copy()
    positions[9] = positions[4]
    with pytest.raises(openmm.OpenMMException, match=r"for atom 9 \(H\) and 1 more at step 0"):
        evaluate(context_of(system_of(topology, force), positions))


def test_a_failure_file_that_cannot_be_written_hides_nothing(toy, dipeptide, dipeptide_atoms, tmp_path) -> None:
    force = openmm_force(toy, dipeptide.topology, failure_file=tmp_path / "no" / "folder.extxyz")
    positions = np.full((22, 3), 0.0)
    with pytest.raises(openmm.OpenMMException, match=r"forces that are not finite .* could not be written"):
        evaluate(context_of(system_of(dipeptide.topology, force), positions))


def test_the_traceback_of_an_unexpected_error_is_kept(failing, toy, monkeypatch) -> None:
    def broken(*_, **__):
        raise KeyError("surprise")

    monkeypatch.setattr(type(toy), "evaluate", broken)
    with pytest.raises(openmm.OpenMMException) as caught:
        evaluate(failing[0])
    assert re.search(r"Traceback.*in broken.*KeyError: 'surprise'", str(caught.value), re.DOTALL)


def test_ctrl_c_is_not_lost(failing, toy, monkeypatch) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(toy), "evaluate", interrupted)
    with pytest.raises(openmm.OpenMMException, match="interrupted during a force evaluation"):
        evaluate(failing[0])


def test_units(toy, dipeptide, dipeptide_atoms) -> None:
    """OpenMM's own derivative, kJ/mol per nm, against its own energies."""
    context = context_of(
        system_of(dipeptide.topology, openmm_force(toy, dipeptide.topology)), dipeptide_atoms.positions
    )
    _, forces = evaluate(context)
    step, atom = 1e-4, 14  # A
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            positions = dipeptide_atoms.positions.copy()
            positions[atom, axis] += sign * step
            context.setPositions(positions * angstrom)
            energies.append(evaluate(context)[0])
        assert forces[atom, axis] == pytest.approx((energies[1] - energies[0]) / (2 * step), rel=1e-5)
    # The charge of the electron times Avogadro's number, CODATA 2018.
    np.testing.assert_allclose([1 / EV, 1 / EV_A], [96.48533212, 964.8533212], rtol=1e-7)
