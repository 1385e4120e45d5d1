"""Relaxations reach known minima, keep constraints, resume, and leave complete files."""

from __future__ import annotations

import csv
import json
import os
import signal

import matplotlib.image
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc110
from ase.calculators.calculator import CalculationFailed
from ase.cluster import Icosahedron
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian
from ase.io import read, write
from ase.io.trajectory import Trajectory
from ase.utils import rotate
from support.toy_potential import export_toy

from md_drivers import MLFFCalculator, RelaxFailed, RelaxInterrupted, RelaxSettings, RelaxStep, StructureError, relax
from md_drivers.ase.report import _side_view
from md_drivers.ase.trajectory import append_frame

BOND = 2.64  # A, minimum of the toy potential's Cu pair
DEPTH = 0.1  # eV, of a model that knows Cu only


@pytest.fixture
def slab() -> Atoms:
    """A rattled Cu(110) slab, 4 layers of 4 atoms, with the lowest layer fixed as in a file."""
    slab = fcc110("Cu", (2, 2, 4), a=3.6, vacuum=5.0)
    slab.rattle(0.08, seed=1)
    slab.set_constraint(FixAtoms(range(4)))
    return slab


@pytest.fixture
def cluster() -> Atoms:
    cluster = Icosahedron("Cu", 2, latticeconstant=BOND * np.sqrt(2))
    cluster = Atoms(cluster.symbols, cluster.positions)
    cluster.rattle(0.15, seed=3)
    return cluster


@pytest.mark.parametrize("optimizer", ["FIRE", "BFGS", "LBFGS"])
def test_lennard_jones_cluster_reaches_the_known_minimum(pure_lj_path, cluster, optimizer):
    """The global minimum of LJ13 is -44.326801 depths (Hoare and Pal 1971; Cambridge Cluster Database)."""
    start = cluster.positions.copy()
    (result,) = relax(cluster, pure_lj_path, fmax=1e-4, steps=1000, optimizer=optimizer)
    assert result.converged
    assert result.fmax < 1e-4
    assert (result.energy + 13 * 2.9) / DEPTH == pytest.approx(-44.326801, abs=1e-5)
    assert result.energies[-1] == result.energy
    assert len(result.energies) == len(result.fmaxes) == result.steps + 1
    assert result.atoms.get_potential_energy() == result.energy
    np.testing.assert_array_equal(cluster.positions, start)
    np.testing.assert_array_equal(result.initial.positions, start)
    assert cluster.calc is None


@pytest.mark.parametrize("cell", ["unit", "exp", "frechet"])
@pytest.mark.filterwarnings("ignore:Use FrechetCellFilter:DeprecationWarning")
def test_strained_crystal_relaxes_to_zero_stress(model, cell):
    crystal = bulk("Cu", a=3.6, cubic=True)
    crystal.set_cell(crystal.cell.array @ [[1.03, 0.02, 0], [0.01, 0.98, 0.02], [0, 0, 1.01]], scale_atoms=True)
    crystal.rattle(0.03, seed=2)
    (result,) = relax(crystal, model, fmax=1e-4, steps=500, optimizer="BFGS", cell=cell)
    assert result.converged
    # ASE's generalized force on the cell is volume times stress over the number of atoms at most.
    np.testing.assert_allclose(result.atoms.get_stress(), 0, atol=1e-4)
    np.testing.assert_allclose(result.atoms.get_forces(), 0, atol=1e-4)
    lengths = result.atoms.cell.lengths()
    np.testing.assert_allclose(lengths, lengths.mean(), rtol=1e-3)
    np.testing.assert_allclose(result.atoms.cell.angles(), 90, atol=0.1)


def test_cell_mask_and_hydrostatic_strain(model):
    crystal = bulk("Cu", a=3.5, cubic=True)
    (masked,) = relax(crystal, model, fmax=1e-3, optimizer="BFGS", cell="frechet", cell_mask=[1, 1, 0, 0, 0, 0])
    before, after = crystal.cell.lengths(), masked.atoms.cell.lengths()
    assert after[2] == pytest.approx(before[2], abs=1e-10)
    assert abs(after[0] - before[0]) > 0.01
    crystal.set_cell([3.5, 3.6, 3.7], scale_atoms=True)
    (scaled,) = relax(crystal, model, fmax=1e-3, optimizer="BFGS", cell="frechet", hydrostatic=True)
    ratios = scaled.atoms.cell.lengths() / crystal.cell.lengths()
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)


def test_external_pressure_is_balanced_by_the_stress(model):
    pressure = 0.02
    crystal = bulk("Cu", a=3.6, cubic=True)
    (result,) = relax(crystal, model, fmax=1e-4, optimizer="BFGS", cell="frechet", pressure=pressure)
    np.testing.assert_allclose(result.atoms.get_stress()[:3], -pressure, atol=1e-4)


@pytest.mark.parametrize("pressure", [0.0, 0.05])
def test_energies_are_potential_energies_under_pressure_too(model, tmp_path, pressure):
    crystal = bulk("Cu", a=3.6, cubic=True)
    seen: list[RelaxStep] = []
    (result,) = relax(
        crystal,
        model,
        steps=5,
        cell="frechet",
        pressure=pressure,
        output=tmp_path,
        figure=True,
        on_progress=seen.append,
    )
    frames = read(result.trajectory, ":")
    energies = [MLFFCalculator(model).get_property("energy", frame) for frame in frames]
    assert result.energies == pytest.approx(energies, rel=1e-12)
    assert [step.energy for step in seen] == list(result.energies)
    assert result.energy == result.energies[-1] == result.atoms.get_potential_energy()
    (row,) = json.loads((tmp_path / "summary.json").read_text())["structures"]
    assert row["energy_change_eV"] == pytest.approx(energies[-1] - energies[0], rel=1e-9)
    if pressure == 0.0:
        assert (result.enthalpy, result.enthalpies, seen[0].enthalpy) == (None, (), None)
        assert "enthalpy_eV" not in row
        return
    enthalpies = [energy + pressure * frame.get_volume() for energy, frame in zip(energies, frames, strict=True)]
    assert result.enthalpies == pytest.approx(enthalpies, rel=1e-12)
    assert [step.enthalpy for step in seen] == list(result.enthalpies)
    assert row["enthalpy_eV"] == result.enthalpy == result.enthalpies[-1]
    # The crystal shrinks: the enthalpy falls while the energy may rise.
    assert result.enthalpies[-1] < result.enthalpies[0]


def test_constraints_of_the_file_and_fix_are_kept(model, slab):
    slab.set_constraint([FixAtoms(range(4)), FixCartesian([15], mask=[False, False, True])])
    (result,) = relax(slab, model, fmax=0.02, optimizer="LBFGS", fix="layers:2")
    assert result.converged
    moved = np.abs(result.atoms.positions - slab.positions)
    assert (moved[:8] == 0).all()
    assert moved[15, 2] == 0
    assert (moved[8:15].max(axis=1) > 1e-3).all()
    assert moved[15, :2].max() > 1e-3
    assert len(result.atoms.constraints) == 3
    assert result.fmax == pytest.approx(np.linalg.norm(result.atoms.get_forces(), axis=1).max())


def test_all_atoms_fixed_is_converged_at_once(model, slab):
    (result,) = relax(slab, model, fix="symbol:Cu")
    assert (result.converged, result.steps, result.fmax) == (True, 0, 0.0)


def test_the_step_limit_ends_the_run(model, slab):
    (result,) = relax(slab, model, fmax=1e-6, steps=3)
    assert (result.converged, result.steps) == (False, 3)
    (result,) = relax(slab, model, fmax=1e-6, steps=0)
    assert (result.converged, result.steps, len(result.energies)) == (False, 0, 1)


def test_several_structures_with_files_and_callback(model, slab, cluster, tmp_path):
    write(tmp_path / "slabs.traj", [slab, slab])
    seen: list[RelaxStep] = []
    output = tmp_path / "out"
    results = relax(
        [cluster, f"{tmp_path / 'slabs.traj'}@:"], model, output=output, fmax=0.1, on_progress=seen.append, steps=100
    )
    names = [result.name for result in results]
    assert names == ["structure-0", "slabs-0", "slabs-1"]
    for index, result in enumerate(results):
        own = [step for step in seen if step.structure == index]
        assert [step.step for step in own] == list(range(result.steps + 1))
        assert {step.name for step in own} == {result.name}
        assert tuple(step.energy for step in own) == result.energies
        assert tuple(step.fmax for step in own) == result.fmaxes
        folder = output / result.name
        assert sorted(path.name for path in folder.iterdir()) == ["relax.png", "relaxed.extxyz", "trajectory.traj"]
        assert (result.trajectory, result.relaxed, result.figure) == (
            folder / "trajectory.traj",
            folder / "relaxed.extxyz",
            folder / "relax.png",
        )
        frames = read(result.trajectory, ":")
        assert [frame.get_potential_energy() for frame in frames] == list(result.energies)
        relaxed = read(result.relaxed)
        np.testing.assert_allclose(relaxed.positions, result.atoms.positions, atol=1e-7)
        np.testing.assert_allclose(
            relaxed.get_forces(apply_constraint=False), result.atoms.get_forces(apply_constraint=False), atol=1e-7
        )
        assert relaxed.get_potential_energy() == pytest.approx(result.energy, abs=1e-7)
        assert relaxed.info["converged"] == result.converged
        assert len(relaxed.constraints) == len(result.atoms.constraints)
        assert frames[0].calc.parameters["sha256"] == model.sha256
    # The two slabs are equal, the first relaxation must leave no trace in the second.
    assert results[1].energies == pytest.approx(results[2].energies, rel=1e-10)
    summary = json.loads((output / "summary.json").read_text())
    assert [row["name"] for row in summary["structures"]] == names
    assert summary["model"]["sha256"] == model.sha256
    assert summary["structures"][1]["relaxed"] == "slabs-0/relaxed.extxyz"
    with (output / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["energy_eV"]) for row in rows] == [result.energy for result in results]


def test_notes_of_the_builders_of_slabs_are_no_loss(model, slab, tmp_path, caplog):
    add_adsorbate(slab, "Cu", 1.5)
    assert "adsorbate_info" in slab.info
    relax(slab, model, output=tmp_path, steps=1, figure=False)
    assert "cannot store" not in caplog.text


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_the_side_view_shows_the_bend_of_an_adsorbate(angle):
    """CO2 lies in the plane of the picture: its oxygens are as far apart there as in space."""
    slab = fcc100("Ni", (3, 3, 2), vacuum=6.0)
    co2 = Atoms("COO", [[0, 0, 0], [1.1, 0, 0.4], [-1.1, 0, 0.4]])
    co2.rotate(angle, "z")
    add_adsorbate(slab, co2, 1.8, "bridge", offset=(1, 1))
    seen = slab.positions @ rotate(_side_view(slab))
    assert abs(seen[-1] - seen[-2])[0] == pytest.approx(2.2, abs=0.02)


def test_figure_is_an_image_with_content(model, cluster, tmp_path):
    (result,) = relax(cluster, model, output=tmp_path, steps=5)
    assert result.figure is not None
    pixels = matplotlib.image.imread(result.figure)
    assert pixels.shape[0] > 500
    assert pixels.shape[1] > 800
    assert np.unique(pixels[..., :3].reshape(-1, 3), axis=0).shape[0] > 50
    (result,) = relax(cluster, model, output=tmp_path / "plain", steps=1, figure=False)
    assert result.figure is None
    assert not (tmp_path / "plain" / "structure" / "relax.png").exists()


def test_resume_continues_and_appends(model, slab, tmp_path, caplog):
    options = {"fmax": 1e-3, "optimizer": "BFGS", "figure": False, "steps": 300}
    (whole,) = relax(slab, model, tmp_path / "whole", **options)
    (first,) = relax(slab, model, tmp_path / "parts", **{**options, "steps": 4})
    assert not first.converged
    seen: list[RelaxStep] = []
    with caplog.at_level("INFO", "md_drivers"):
        (second,) = relax(slab, model, tmp_path / "parts", **options, resume=True, on_progress=seen.append)
    assert "goes on after step 4; the memory of the optimizer starts anew" in caplog.text
    assert whole.converged
    assert second.converged
    # Steps are numbered on, and the energy change is that since the very first frame.
    assert [step.step for step in seen] == list(range(4, second.steps + 1))
    assert (second.first_step, second.steps) == (4, 4 + len(second.energies) - 1)
    assert second.energy_change == pytest.approx(second.energy - first.energies[0], rel=1e-12)
    (row,) = json.loads((tmp_path / "parts" / "summary.json").read_text())["structures"]
    assert (row["steps"], row["energy_change_eV"]) == (second.steps, second.energy_change)
    assert second.energies[0] == pytest.approx(first.energy, rel=1e-12)
    assert second.energy == pytest.approx(whole.energy, abs=1e-4)
    energies = [frame.get_potential_energy() for frame in read(second.trajectory, ":")]
    assert energies == pytest.approx([*first.energies, *second.energies[1:]], rel=1e-12)
    np.testing.assert_array_equal(second.atoms.positions[:4], slab.positions[:4])
    (third,) = relax(slab, model, tmp_path / "parts", **options, resume=True)
    assert (third.converged, third.steps, third.energies) == (True, second.steps, (third.energy,))
    assert len(read(third.trajectory, ":")) == len(energies)
    with pytest.raises(StructureError, match=r"has .* steps already, more than the 2 asked for"):
        relax(slab, model, tmp_path / "parts", **{**options, "steps": 2}, resume=True)


def test_former_names_of_arguments(model, cluster, tmp_path):
    seen: list[RelaxStep] = []
    relax(cluster, model, tmp_path, figure=False, steps=2)
    with pytest.warns(DeprecationWarning, match="restart= is now resume=, and steps counts from the very start"):
        (result,) = relax(cluster, model, output=tmp_path, figure=False, steps=3, restart=True)
    assert (result.first_step, result.steps) == (2, 3)
    with pytest.warns(DeprecationWarning, match="callback= is now on_progress="):
        relax(cluster, model, steps=1, callback=seen.append)
    assert [step.step for step in seen] == [0, 1]


def test_settings_and_single_keywords_are_the_same(model, slab):
    settings = RelaxSettings(fmax=1e-6, optimizer="lbfgs", fix="layers:2")
    (one,) = relax(slab, model, steps=3, settings=settings)
    (other,) = relax(slab, model, steps=3, fmax=1e-6, optimizer="LBFGS", fix="layers:2")
    assert one.energies == other.energies
    (fire,) = relax(slab, model, steps=3, settings=settings, optimizer="FIRE")
    assert fire.energies != one.energies
    assert fire.energies == relax(slab, model, steps=3, fix="layers:2", fmax=1e-6)[0].energies


def test_asked_to_stop_between_two_steps(model, cluster, tmp_path):
    seen: list[RelaxStep] = []
    options = {"figure": False, "fmax": 0.01, "on_progress": seen.append}
    structures = {"a": cluster, "b": cluster}
    with pytest.raises(RelaxInterrupted, match="while relaxing 'b'") as caught:
        relax(structures, model, tmp_path, **options, should_stop=lambda: (seen[-1].name, seen[-1].step) == ("b", 3))
    assert [result.name for result in caught.value.results] == ["a"]
    assert len(read(tmp_path / "b" / "trajectory.traj", ":")) == 4
    record = json.loads((tmp_path / "summary.json").read_text())
    assert (record["status"], record["settings"]["fmax"], record["model"]["sha256"]) == ("stopped", 0.01, model.sha256)
    assert {"torch", "ase", "python"} <= set(record["versions"])
    results = relax(structures, model, tmp_path, **options, resume=True)
    assert all(result.converged for result in results)
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "completed"


def test_resume_takes_over_the_cell(model, tmp_path):
    crystal = bulk("Cu", a=3.4, cubic=True)
    (first,) = relax(crystal, model, figure=False, cell="frechet", output=tmp_path, steps=3)
    (second,) = relax(crystal, model, figure=False, cell="frechet", output=tmp_path, steps=3, resume=True)
    np.testing.assert_array_equal(second.atoms.cell.array, first.atoms.cell.array)
    assert second.energy == pytest.approx(first.energy, rel=1e-12)


def test_resume_without_trajectory_starts_anew_and_results_are_replaced_on_request_only(model, cluster, tmp_path):
    (first,) = relax(cluster, model, figure=False, output=tmp_path, steps=2, resume=True)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"summary.json exists already: go on .* replace it \(--overwrite"):
        relax({"another": cluster}, model, figure=False, output=tmp_path, steps=3)
    (tmp_path / "summary.json").unlink()
    with pytest.raises(FileExistsError, match=r"trajectory.traj exists already"):
        relax(cluster, model, figure=False, output=tmp_path, steps=3)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}.items() <= kept.items()
    (second,) = relax(cluster, model, figure=False, output=tmp_path, steps=3, overwrite=True)
    assert len(read(first.trajectory, ":")) == 4
    assert second.energies[:3] == pytest.approx(first.energies, rel=1e-12)


def test_resume_refuses_another_or_a_damaged_trajectory(model, cluster, slab, tmp_path):
    relax(cluster, model, figure=False, output=tmp_path, steps=1)
    with pytest.raises(StructureError, match="holds another structure"):
        relax(slab, model, output=tmp_path, resume=True)
    moved = cluster.copy()
    moved.positions[3, 0] += 0.01
    with pytest.raises(StructureError, match=r"holds another structure .*other positions.* atom 3"):
        relax(moved, model, output=tmp_path, resume=True)
    moved.positions[3, 0] -= 0.0095  # rounding of a file
    assert relax(moved, model, figure=False, output=tmp_path, steps=2, resume=True)[0].steps == 2
    boxed = cluster.copy()
    boxed.set_cell([9, 9, 9])
    with pytest.raises(StructureError, match=r"holds another structure .*another cell"):
        relax(boxed, model, output=tmp_path, resume=True)
    other = export_toy(tmp_path / "other.pt", species=(29,))
    with pytest.raises(StructureError, match=f"made by another model .*{model.sha256[:12]}"):
        relax(cluster, other, output=tmp_path, resume=True)
    (tmp_path / "structure" / "trajectory.traj").write_bytes(b"no trajectory")
    with pytest.raises(StructureError, match="cannot resume"):
        relax(cluster, model, figure=False, output=tmp_path, resume=True)
    with pytest.raises(ValueError, match="output"):
        relax(cluster, model, figure=False, resume=True)


def test_interrupt_leaves_finished_results_and_an_intact_trajectory(model, cluster, tmp_path):
    def interrupt(step: RelaxStep) -> None:
        if (step.structure, step.step) == (1, 3):
            raise KeyboardInterrupt

    with pytest.raises(RelaxInterrupted, match="structure-1") as caught:
        relax([cluster] * 3, model, output=tmp_path, figure=False, fmax=0.05, on_progress=interrupt)
    (finished,) = caught.value.results
    assert finished.converged
    assert len(read(tmp_path / "structure-1" / "trajectory.traj", ":")) == 4
    assert [path.name for path in (tmp_path / "structure-1").iterdir()] == ["trajectory.traj"]
    assert len(json.loads((tmp_path / "summary.json").read_text())["structures"]) == 1
    results = relax([cluster] * 3, model, output=tmp_path, figure=False, fmax=0.05, resume=True)
    assert (results[0].steps, results[0].first_step) == (finished.steps, finished.steps)
    assert results[1].first_step == 3
    assert results[1].steps > 3
    assert all(result.converged for result in results)


def test_interrupt_while_a_frame_is_written_waits(cluster, tmp_path, monkeypatch):
    path = tmp_path / "run.traj"
    append_frame(path, cluster, new=True)
    write_frame = Trajectory.__globals__["TrajectoryWriter"].write

    def interrupted(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        write_frame(self, *args, **kwargs)

    monkeypatch.setattr("ase.io.trajectory.TrajectoryWriter.write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        append_frame(path, cluster, new=False)
    assert len(read(path, ":")) == 2


def test_no_trajectory_is_half_begun_or_begun_again(model, cluster, tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ase.io.trajectory.TrajectoryWriter.write", full)
        with pytest.raises(OSError, match="No space"):
            relax(cluster, model, output=tmp_path, steps=2)
    assert [*tmp_path.rglob("*.*")] == []
    (result,) = relax(cluster, model, output=tmp_path, steps=2, figure=False, resume=True)
    assert len(read(result.trajectory, ":")) == 3
    with pytest.raises(FileNotFoundError):
        relax(
            cluster,
            model,
            output=tmp_path / "vanishing",
            on_progress=lambda step: (tmp_path / "vanishing" / "structure" / "trajectory.traj").unlink(),
        )


def test_labels_of_the_input_do_not_clash_with_the_results(model, cluster, tmp_path):
    cluster.info.update(energy=1.0, free_energy=2.0, run="a")
    cluster.arrays["forces"] = np.ones((13, 3))
    (result,) = relax(cluster, model, figure=False, output=tmp_path, steps=1)
    relaxed = read(result.relaxed)
    assert relaxed.get_potential_energy() == pytest.approx(result.energy, abs=1e-7)
    assert relaxed.info["run"] == "a"


def test_what_extxyz_cannot_hold_is_left_out(model, cluster, tmp_path):
    cluster.arrays["tensors"] = np.ones((13, 3, 3))
    cluster.arrays["magnetic"] = np.arange(13.0)
    cluster.info.update(model=object(), nested={"a": {1: {2, 3}}}, run="b", temperature=300.0)
    (result,) = relax(cluster, model, output=tmp_path, steps=1, figure=False)
    relaxed = read(result.relaxed)
    assert "tensors" not in relaxed.arrays
    np.testing.assert_array_equal(relaxed.arrays["magnetic"], np.arange(13.0))
    assert (relaxed.info["run"], relaxed.info["temperature"]) == ("b", 300.0)
    assert "tensors" in result.atoms.arrays


def test_constraints_that_extxyz_cannot_hold_are_kept_beside_it(model, cluster, tmp_path, caplog):
    bonds = FixBondLengths([[0, 1]])
    cluster.set_constraint([FixAtoms([5]), bonds])
    (result,) = relax(cluster, model, output=tmp_path, steps=2, figure=False)
    assert "FixBondLengths" in caplog.text
    complete = read(tmp_path / "structure" / "relaxed.traj")
    assert [type(held).__name__ for held in complete.constraints] == ["FixAtoms", "FixBondLengths"]
    assert complete.get_potential_energy() == pytest.approx(result.energy)
    assert [type(held).__name__ for held in read(result.relaxed).constraints] == ["FixAtoms"]
    cluster.set_constraint()
    relax(cluster, model, output=tmp_path, steps=2, figure=False, overwrite=True)
    assert not (tmp_path / "structure" / "relaxed.traj").exists()


@pytest.mark.parametrize("broken", ["write_figure", "write_structure"])
def test_a_file_that_cannot_be_written_does_not_lose_the_results(model, cluster, tmp_path, monkeypatch, caplog, broken):
    def fail(path, result, *rest):
        if result.name == "structure-0":
            raise ValueError("no such glyph")

    monkeypatch.setattr(f"md_drivers.ase.relaxation.{broken}", fail)
    results = relax([cluster, cluster], model, output=tmp_path, steps=1)
    assert "no such glyph" in caplog.text
    field = "figure" if broken == "write_figure" else "relaxed"
    assert [getattr(result, field) is None for result in results] == [True, False]
    assert len(json.loads((tmp_path / "summary.json").read_text())["structures"]) == 2


def test_names_with_dollar_signs_are_drawn(model, cluster, tmp_path):
    (result,) = relax({"a $}{ b$_^": cluster}, model, output=tmp_path, steps=1)
    assert result.figure is not None
    assert result.figure.exists()


def test_collapsed_structures_are_not_trusted(model, cluster, caplog):
    """A pair at 0.42 A whose force vanishes, here because both atoms are fixed, must not pass as converged."""
    collapsed = Atoms("CO", positions=[[0, 0, 0], [0, 0, 0.42]])
    good, bad = relax([cluster, collapsed], model, fmax=1e3, fix="index:0,1", steps=0)
    assert (good.converged, good.close_contacts) == (True, ())
    assert (bad.converged, bad.fmax) == (False, 0.0)
    assert bad.close_contacts == ("C0-O1 0.420 A",)
    assert caplog.text.count("'structure-1' starts with atoms too close") == 1
    assert caplog.text.count("'structure-1' ended with atoms too close") == 1
    assert "structure-0" not in caplog.text


def test_atoms_on_top_of_each_other_stop_the_call_before_the_first_step(model, cluster, evaluations):
    pair = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.001]])
    with pytest.raises(StructureError, match=r"'structure-1': atoms Cu0-Cu1 are 0\.0010 A apart"):
        relax([cluster, pair], model)
    assert evaluations == []


def test_a_failure_is_recorded_and_the_others_go_on(model, cluster, tmp_path, monkeypatch):
    calculate = MLFFCalculator.calculate

    def fragile(self, atoms=None, properties=("energy",), system_changes=()):
        if len(atoms) == 2:
            raise CalculationFailed("the model gave nothing")
        calculate(self, atoms, properties, system_changes)

    monkeypatch.setattr(MLFFCalculator, "calculate", fragile)
    pair = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]])
    with pytest.raises(RelaxFailed, match="structure 'b': the model gave nothing") as caught:
        relax({"a": cluster, "b": pair, "c": cluster}, model, output=tmp_path, figure=False, steps=1)
    assert [result.name for result in caught.value.results] == ["a", "c"]
    assert caught.value.failures == {"b": "the model gave nothing"}
    assert isinstance(caught.value, CalculationFailed)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [row["name"] for row in summary["structures"]] == ["a", "c"]
    assert [row["name"] for row in summary["failed"]] == ["b"]
    with (tmp_path / "summary.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["b"]["error"] == "the model gave nothing"
    assert rows["a"]["error"] == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmax": 0.0}, "fmax"),
        ({"fmax": float("nan")}, "fmax"),
        ({"steps": -1}, "steps"),
        ({"fmax": "small"}, "fmax"),
        ({"steps": 2.5}, "steps"),
        ({"steps": None}, "steps"),
        ({"optimizer": "Newton"}, "FIRE, BFGS, LBFGS"),
        ({"cell": ["unit"]}, "unit, exp, frechet"),
        ({"cell": "unit", "cell_mask": 3}, "six entries"),
        ({"cell": "unit", "pressure": "high"}, "pressure"),
        ({"cell": "cubic"}, "unit, exp, frechet"),
        ({"hydrostatic": True}, "cell relaxation"),
        ({"cell": "unit", "cell_mask": [1, 0]}, "six entries"),
        ({"cell": "unit"}, "'structure': the cell cannot be relaxed: stress needs"),
        ({"fix": "symbol:Ni"}, "'structure': .*matches no atom"),
        ({"pressure": float("inf"), "cell": "unit"}, "pressure"),
    ],
)
def test_bad_options_are_refused_before_any_file_is_written(model, cluster, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        relax(cluster, model, figure=False, output=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_one_bad_structure_stops_the_call_before_the_first_step(model, cluster, evaluations):
    with pytest.raises(StructureError, match=r"'structure-1'.*Au \(1\)"):
        relax([cluster, Atoms("Au")], model)
    assert evaluations == []


def test_direct_forces_relax_but_give_no_cell(direct_path, slab):
    assert relax(slab, direct_path, fmax=0.1)[0].converged
    with pytest.raises(StructureError, match="conservative"):
        relax(slab, direct_path, cell="unit")


def test_a_calculator_may_be_given_and_its_list_is_reported(model, slab):
    calculator = MLFFCalculator(model, skin=1.0)
    (result,) = relax(slab, calculator, fmax=0.02)
    assert calculator.neighbor_statistics.rebuilds == result.neighbor_rebuilds
    assert 1 <= result.neighbor_rebuilds < calculator.neighbor_statistics.queries


def test_progress_prints_a_line_per_step(model, slab, capsys):
    (result,) = relax(slab, model, fmax=0.1, progress=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    table = [line for line in lines if len(line) == 4 and line[1].isdigit()]
    assert [int(line[1]) for line in table] == list(range(result.steps + 1))
    assert float(table[-1][2]) == pytest.approx(result.energy, abs=1e-6)
    assert float(table[-1][3]) == pytest.approx(result.fmax, abs=1e-6)


def test_float32_relaxes_to_the_same_minimum(tmp_path, cluster):
    path = export_toy(tmp_path / "single.pt", species=(29,), dtype=torch.float32)
    (single,) = relax(cluster, path, fmax=0.01)
    (double,) = relax(cluster, path, fmax=0.01, dtype="float64")
    assert single.converged
    assert single.energy == pytest.approx(double.energy, abs=1e-3)
