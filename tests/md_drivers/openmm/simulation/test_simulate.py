"""``simulate``: what it writes, and that it goes on where it stopped."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import openmm
import pytest
from ase import units
from ase.io import read
from openmm import app
from openmm.unit import angstrom
from support.openmm_systems import read_positions

from md_drivers import MLFFCalculator, SimulationFailed
from md_drivers.common.trajectory_files import read_table
from md_drivers.openmm.simulation.structure import Bonds, read_structure
from mlff.artifacts import file_sha256
from mlff.potential.artifact import LoadedModel

FILES = ["checkpoint.zip", "ramachandran.png", "simulation.json", "simulation.png", "state.csv", "topology.pdb"]


def frames_of(folder, topology):
    (path,) = folder.glob("trajectory.*")
    return read_positions(path, topology)


class Halt:
    """Asks to stop from a step on, or breaks down there as a killed process does."""

    def __init__(self, step: int, *, kill: bool = False) -> None:
        self.step, self.kill, self.now = step, kill, 0

    def note(self, progress) -> None:
        self.now = progress.step
        if self.kill and self.now >= self.step:
            raise ZeroDivisionError

    def stop(self) -> bool:
        return self.now >= self.step


def test_files(dynamics, dipeptide, dipeptide_file, toy_path, toy, tmp_path):
    result = dynamics(seed=4)
    assert sorted(path.name for path in result.folder.iterdir()) == sorted([*FILES, "trajectory.dcd"])
    assert (result.steps, result.stopped, result.exact) == (40, False, True)
    assert result.time == pytest.approx(0.01)

    table = read_table(tmp_path / "out" / "state.csv")
    np.testing.assert_array_equal(table["step"], [10, 20, 30, 40])
    np.testing.assert_allclose(table["time_ps"], 0.00025 * table["step"])
    np.testing.assert_allclose(table["total_eV"], table["potential_eV"] + table["kinetic_eV"])
    np.testing.assert_allclose(table["temperature_K"], 2 * table["kinetic_eV"] / (63 * units.kB))
    assert result.temperature == pytest.approx(table["temperature_K"].mean())

    # Every frame is the one whose energy the table has.
    frames = frames_of(result.folder, dipeptide.topology)
    atoms = read(dipeptide_file)
    calculator = MLFFCalculator(toy)
    for positions, energy in zip(frames, table["potential_eV"], strict=True):
        atoms.positions = positions
        assert calculator.get_potential_energy(atoms) == pytest.approx(energy, abs=1e-3)

    start = app.PDBFile(str(result.folder / "topology.pdb"))
    np.testing.assert_allclose(
        start.positions.value_in_unit(angstrom), dipeptide.positions.value_in_unit(angstrom), atol=2e-3
    )
    assert start.topology.getNumBonds() == dipeptide.topology.getNumBonds()
    record = json.loads((result.folder / "simulation.json").read_text())
    assert record["settings"]["model_sha256"] == file_sha256(toy_path)
    assert record["settings"]["structure_sha256"] == file_sha256(dipeptide_file)
    assert record["settings"]["seed"] == 4
    assert (record["status"], record["steps"], record["ml_atoms"], record["platform"]) == (
        "completed", 40, 22, "Reference",
    )  # fmt: skip
    assert {"openmm", "torch", "python"} <= set(record["versions"])


def test_formats_and_seeds(dynamics, dipeptide):
    pytest.importorskip("mdtraj")
    folders = [dynamics(fmt, trajectory_format=fmt).folder for fmt in ("dcd", "xtc")]
    dcd, xtc = (frames_of(folder, dipeptide.topology) for folder in folders)
    np.testing.assert_allclose(dcd, xtc, atol=0.006)  # XTC rounds to 0.01 A
    assert (folders[0] / "state.csv").read_text() == (folders[1] / "state.csv").read_text()
    other = dynamics("other", seed=1).folder
    assert np.abs(frames_of(other, dipeptide.topology) - dcd).max() > 0.01


@pytest.mark.parametrize(
    ("ensemble", "trajectory_format", "kill"),
    [("nve", "dcd", False), ("nvt", "dcd", True), ("nvt", "xtc", False), ("npt", "xtc", True), ("npt", "dcd", False)],
)
def test_a_resumed_simulation_is_the_uninterrupted_one(
    dynamics, dipeptide_file, oxygen_file, ensemble, trajectory_format, kill
):
    """Same table and trajectory, to the last bit, on the Reference platform; up to the interruption for ``npt``."""
    if trajectory_format == "xtc":
        pytest.importorskip("mdtraj")
    structure = oxygen_file if ensemble == "npt" else dipeptide_file
    options = {"structure": structure, "steps": 70, "ensemble": ensemble, "trajectory_format": trajectory_format}
    options |= {"checkpoint_interval": 15, "pressure": 1e4}
    whole = dynamics("whole", **options)
    halt = Halt(37, kill=kill)
    if kill:
        with pytest.raises(ZeroDivisionError):
            dynamics("parts", **options, on_progress=halt.note)
        kept = 3  # frames before the checkpoint at step 30
    else:
        stopped = dynamics("parts", **options, on_progress=halt.note, should_stop=halt.stop)
        assert stopped.stopped
        assert 37 <= stopped.steps < 70
        assert json.loads((stopped.folder / "simulation.json").read_text())["status"] == "stopped"
        kept = stopped.steps // 10
    parts = dynamics("parts", **options, resume=True)
    assert (parts.steps, parts.stopped, parts.exact) == (70, False, ensemble != "npt")
    topology = app.PDBFile(str(structure)).topology
    compared = kept if ensemble == "npt" else 7
    tables = [read_table(folder / "state.csv") for folder in (parts.folder, whole.folder)]
    np.testing.assert_array_equal(tables[0]["step"], range(10, 71, 10))
    for name, column in tables[0].items():
        np.testing.assert_array_equal(column[:compared], tables[1][name][:compared])
    frames = frames_of(parts.folder, topology)
    np.testing.assert_array_equal(frames[:compared], frames_of(whole.folder, topology)[:compared])
    assert len(frames) == 7
    if ensemble == "npt":
        assert len(set(tables[0]["volume_A3"])) > 1
    if trajectory_format == "dcd":
        header = [(folder / "trajectory.dcd").read_bytes()[:24] for folder in (parts.folder, whole.folder)]
        assert header[0] == header[1]


def test_more_steps_than_at_first(dynamics):
    dynamics(steps=20)
    assert dynamics(steps=30, resume=True).steps == 30
    assert dynamics(steps=30, resume=True).steps == 30  # nothing left to do
    assert dynamics("whole", steps=30).folder.joinpath("state.csv").read_text() == (
        dynamics(steps=30, resume=True).folder.joinpath("state.csv").read_text()
    )


def test_another_platform_goes_on_from_the_portable_state(dynamics, dipeptide):
    first = dynamics(steps=20, checkpoint_interval=20)
    before = frames_of(first.folder, dipeptide.topology)[-1]
    second = dynamics(steps=40, platform="CPU", resume=True)
    assert not second.exact
    frames = frames_of(first.folder, dipeptide.topology)
    np.testing.assert_array_equal(frames[1], before)
    assert 0 < np.abs(frames[2] - before).max() < 0.5  # 2.5 fs later
    np.testing.assert_array_equal(read_table(first.folder / "state.csv")["step"], [10, 20, 30, 40])
    # Random numbers are not those of the beginning once more.
    table = read_table(first.folder / "state.csv")
    assert len(set(table["kinetic_eV"])) == 4


def test_stopped_before_the_first_step(dynamics):
    result = dynamics(should_stop=lambda: True, minimize=True)
    assert (result.steps, result.stopped, result.temperature) == (0, True, None)
    assert [path.name for path in result.folder.iterdir()] == ["simulation.json"]
    assert dynamics(resume=True, minimize=True).steps == 40


def test_the_checkpoint_is_one_portable_file(dynamics):
    folder = dynamics().folder
    with zipfile.ZipFile(folder / "checkpoint.zip") as archive:
        assert sorted(archive.namelist()) == ["context.chk", "place.json", "state.xml"]
        assert json.loads(archive.read("place.json"))["step"] == 40


def test_minimisation(dynamics, oxygen_file, toy):
    result = dynamics(structure=oxygen_file, steps=1, minimize=True)
    calculator = MLFFCalculator(toy)
    before, after = read(oxygen_file), read(result.folder / "topology.pdb")
    assert calculator.get_potential_energy(after) < calculator.get_potential_energy(before) - 0.05
    # OpenMM minimises to a root mean square of 10 kJ/mol/nm; positions in PDB files are rounded to 0.001 A.
    rms = [np.sqrt(np.square(calculator.get_forces(atoms)).mean()) for atoms in (before, after)]
    assert rms[1] < 10 * (units.kJ / units.mol) / units.nm + 0.003 < 0.5 * rms[0]


def test_a_minimisation_that_fails_changes_nothing(dynamics, dipeptide_file, caplog, monkeypatch):
    """As where atoms lie on top of each other on the minimiser's way."""

    def lose(context, **options):
        positions = context.getState(positions=True).getPositions(asNumpy=True)
        context.setPositions(positions * 0.5)

    monkeypatch.setattr(openmm.LocalEnergyMinimizer, "minimize", lose)
    result = dynamics(steps=1, minimize=True)
    np.testing.assert_allclose(
        read(result.folder / "topology.pdb").positions, read(dipeptide_file).positions, atol=2e-3
    )
    assert "the minimisation failed" in caplog.text


def test_a_failing_model_leaves_the_files(dynamics, tmp_path, monkeypatch):
    evaluate, calls = LoadedModel.evaluate, []

    def break_down(self, graph, **options):
        outputs = evaluate(self, graph, **options)
        calls.append(1)
        return outputs if len(calls) < 40 else {name: value * np.nan for name, value in outputs.items()}

    with monkeypatch.context() as patch:
        patch.setattr(LoadedModel, "evaluate", break_down)
        with pytest.raises(
            SimulationFailed, match=r"forces that are not finite .* atom 0 \(C\).*at step 3\d .*files up to"
        ):
            dynamics(checkpoint_interval=20)
    folder = next(iter(dynamics("other", steps=1).folder.parent.glob("out")))
    assert len(read(folder / "failure.extxyz", ":")) == 2
    record = json.loads((folder / "simulation.json").read_text())
    assert record["status"] == "failed"
    assert "not finite" in record["message"]
    np.testing.assert_array_equal(read_table(folder / "state.csv")["step"], [10, 20, 30])
    healthy = dynamics(resume=True, checkpoint_interval=20)
    assert healthy.steps == 40
    assert (folder / "state.csv").read_text() == (dynamics("whole").folder / "state.csv").read_text()


def test_an_interrupt_during_a_force_is_no_failure(dynamics, monkeypatch):
    """As by a second Ctrl-C: OpenMM passes on the message alone."""
    evaluate, calls = LoadedModel.evaluate, []

    def interrupted(self, graph, **options):
        calls.append(1)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return evaluate(self, graph, **options)

    with monkeypatch.context() as patch:
        patch.setattr(LoadedModel, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dynamics(checkpoint_interval=20)
    resumed = dynamics(resume=True, checkpoint_interval=20)
    assert (resumed.steps, resumed.exact) == (40, True)


def test_an_explosion_is_noticed(dynamics, tmp_path):
    with pytest.raises(SimulationFailed, match=r"exploded before step \d+ .*take a smaller time step|not finite"):
        dynamics(time_step=20.0, report_interval=2, steps=100)
    assert json.loads((tmp_path / "out" / "simulation.json").read_text())["status"] == "failed"


def test_pdbx_is_read_as_pdb(dynamics, dipeptide, tmp_path):
    path = tmp_path / "dipeptide.cif"
    with open(path, "w") as file:
        app.PDBxFile.writeFile(dipeptide.topology, dipeptide.positions, file)
    from_pdb = read_table(dynamics("pdb").folder / "state.csv")
    from_cif = read_table(dynamics("cif", structure=path).folder / "state.csv")
    np.testing.assert_allclose(from_cif["potential_eV"], from_pdb["potential_eV"], rtol=1e-3)


def test_broken_bonds_are_reported(dynamics, caplog):
    """The toy potential does not know what is bound."""
    result = dynamics(steps=1500, report_interval=100, time_step=0.5)
    assert result.broken_bonds
    assert all(step % 100 == 0 for step in result.broken_bonds.values())
    assert sum("is broken" in record.message for record in caplog.records) <= 3
    assert json.loads((result.folder / "simulation.json").read_text())["broken_bonds"] == result.broken_bonds


def test_bonds_across_a_box(dipeptide_file):
    structure = read_structure(dipeptide_file, None)
    bonds = Bonds.of(structure.topology)
    assert len(bonds.pairs) == 21
    assert bonds.broken(structure.positions, None) == []
    box = np.diag([9.0, 9.0, 9.0])
    wrapped = structure.positions % 9.0
    assert bonds.broken(wrapped, box) == []
    assert bonds.broken(wrapped, None)
    stretched = structure.positions.copy()
    stretched[1] += 3.0 * (stretched[1] - stretched[0])
    ((label, length),) = bonds.broken(stretched, None)
    assert "atom 1 (H1 of ACE 1)" in label
    assert length == pytest.approx(4 * np.linalg.norm(structure.positions[1] - structure.positions[0]))
