"""Whole small data sets: what is in the files, interruption, extension, wrong folders."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.protein_structures import mdtraj
from typer.testing import CliRunner

from md_drivers.jumps.cli import app
from mlff.sampling.trajectories import GenerationConfig, SystemConfig, UnfoldingConfig, generate
from mlff.sampling.trajectories.assemble import assemble_system
from mlff.sampling.trajectories.chunks import Chunk, groups_of, make_chunk, read_chunk, write_chunk
from mlff.sampling.trajectories.config import dump_config
from mlff.sampling.trajectories.copies import Copies
from mlff.sampling.trajectories.isomers import Isomers
from mlff.support.errors import InputError, RunError
from mlff.trajectories import PairSampler, SystemData, load_dataset

pytestmark = pytest.mark.usefixtures("engine")

SYSTEMS = ("ala2", "ACE-GLY-NME")


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def trajectories(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.xtc")}


@pytest.fixture(scope="module")
def systems(data: Path) -> tuple[SystemData, ...]:
    return load_dataset(data)


def test_systems_and_trajectories_are_held_out(systems: tuple[SystemData, ...]) -> None:
    assert [(s.name, s.sequence, s.split) for s in systems] == [
        ("ala2", "ACE-ALA-NME", "train"),
        ("ACE-GLY-NME", "ACE-GLY-NME", "test"),
    ]
    assert sorted(t.split for t in systems[0].trajectories) == ["test", "train", "val"]
    assert {t.split for t in systems[1].trajectories} == {"test"}
    assert [len(t.atoms) for system in systems for t in system.trajectories] == [10] * 6
    frames = [t.atoms.numpy().tobytes() for system in systems for t in system.trajectories]
    assert len(set(frames)) == 6
    # Training reads only what it may.
    assert set(PairSampler(systems, "train", [0.1], 32).indices(0).system.tolist()) == {0}


def test_files_are_described(data: Path, tiny: GenerationConfig) -> None:
    content = json.loads((data / "dataset.json").read_text())
    assert content["complete"]
    assert content["simulated_ns"] == pytest.approx(6e-3)
    assert [system["frames"] for system in content["systems"]] == [
        {"train": 10, "val": 10, "test": 10},
        {"train": 0, "val": 0, "test": 30},
    ]
    for name in SYSTEMS:
        record = json.loads((data / name / "system.json").read_text())
        assert record["conditions"]["temperature"] == tiny.temperature
        assert record["conditions"]["time_step"] == 4.0
        assert {"OpenMM", "mdtraj", "PeptideBuilder"} <= set(record["provenance"]["versions"])
        sums = {entry["file"]: entry["sha256"] for entry in record["trajectories"]} | record["provenance"]["sha256"]
        assert set(sums) == {"start.pdb", "topology.pdb", *(f"trajectory_{k:03d}.xtc" for k in range(3))}
        for file, sha256 in sums.items():
            assert hashlib.sha256((data / name / file).read_bytes()).hexdigest() == sha256
    assert list(data.rglob("*.tmp")) == []


def test_frames_are_those_of_the_dynamics(data: Path, tiny: GenerationConfig) -> None:
    group = groups_of(tiny, tiny.systems[0])[1]
    start = mdtraj.load(str(data / "ala2" / "start.pdb"))
    assert start.n_atoms == 22
    heavy = [atom.index for atom in start.topology.atoms if atom.element.symbol != "H"]
    for copy, number in enumerate(range(group.first, group.last)):
        file = data / "ala2" / f"trajectory_{number:03d}.xtc"
        trajectory = mdtraj.load(str(file), top=str(data / "ala2" / "topology.pdb"))
        assert [a.name for a in trajectory.topology.atoms] == [start.topology.atom(i).name for i in heavy]
        np.testing.assert_allclose(trajectory.time, 0.1 * np.arange(1, 11), rtol=1e-5)
        chunks = [read_chunk(group.path(data, k)) for k in (0, 1)]
        kept = np.concatenate([chunk.frames[:, copy] for chunk in chunks])
        assert np.array_equal(np.rint(trajectory.xyz * 1000), kept)
        # The last frame is the state that the next chunk begins with.
        last = 1000 * chunks[-1].positions[copy, heavy]
        assert np.abs(kept[-1] - last).max() <= 0.5
        # One chunk goes on where the other ended: atoms move by less than 1 Å in 0.1 ps.
        assert np.linalg.norm(np.diff(kept, axis=0), axis=-1).max() < 100


def test_starts_differ(systems: tuple[SystemData, ...], data: Path) -> None:
    record = json.loads((data / "ala2" / "system.json").read_text())
    assert len({entry["start"] for entry in record["trajectories"]}) == 3
    first = [t.atoms[0] for t in systems[0].trajectories]
    assert (first[0] - first[1]).abs().max() > 0.5


def test_interrupted_and_continued_files_are_the_same(data: Path, tiny: GenerationConfig, tmp_path: Path) -> None:
    settings, folder = tmp_path / "settings.yaml", tmp_path / "data"
    dump_config(tiny, settings)
    words = ["generate-data", str(settings), "-o", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "md_drivers.jumps.cli", *words], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and len(list(folder.glob("*/chunks/*.npz"))) < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert f"stopped; continue with: python -m md_drivers.jumps.cli {shlex.join(words)}" in errors
    assert "building, finding starts, equilibration" in errors
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/chunks/*.npz")}
    assert 3 <= len(before) < 8
    # What exists can be read, and both systems have advanced.
    part = load_dataset(folder)
    assert {system.name for system in part} == set(SYSTEMS)
    assert not json.loads((folder / "dataset.json").read_text())["complete"]
    calls: list[tuple[float, float]] = []
    generate(None, folder, workers=2, on_progress=lambda *amounts: calls.append(amounts))
    assert calls[-1] == pytest.approx((6e-3, 6e-3))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert trajectories(folder) == trajectories(data)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_longer_trajectories_begin_with_the_shorter_ones(data: Path, tiny: GenerationConfig, tmp_path: Path) -> None:
    config, folder = tiny.model_copy(update={"length": 5e-4, "systems": tiny.systems[:1]}), tmp_path / "data"
    shutil.copytree(data / "ala2" / "chunks", folder / "ala2" / "chunks")
    shutil.copy(data / "ala2" / "start.pdb", folder / "ala2")
    for path in folder.glob("ala2/chunks/*_00001.npz"):
        path.unlink()
    dump_config(config, folder / "config.yaml")
    content = generate(config, folder)
    assert content["complete"]
    assert content["systems"][0]["frames"]["train"] == 5
    with pytest.raises(InputError, match="cannot become shorter"):
        generate(tiny.model_copy(update={"length": 2.5e-4, "systems": tiny.systems[:1]}), folder)
    result = invoke("generate-data", "-o", tmp_path / "data", "--length", "1e-3")
    assert result.exit_code == 0
    assert "done: 0.003 ns, frames: 10 train, 10 val, 10 test" in result.stderr
    assert trajectories(tmp_path / "data") == {k: v for k, v in trajectories(data).items() if k.startswith("ala2")}


def test_time_that_is_over_is_no_failure(tiny: GenerationConfig, tmp_path: Path) -> None:
    dump_config(tiny, tmp_path / "settings.yaml")
    result = invoke("generate-data", tmp_path / "settings.yaml", "-o", tmp_path / "data", "--minutes", "1e-9")
    assert result.exit_code == 0
    assert re.search("not complete yet: 0 ns, .*; continue with: .+", result.stderr)
    assert not (tmp_path / "data" / "dataset.json").exists()  # no system yet that could be read


@pytest.mark.parametrize("deleted", ["ala2/chunks/*", "ala2/chunks/*_00001.npz", "*/chunks"])
def test_trajectories_without_their_chunks_are_not_overwritten(data: Path, tmp_path: Path, deleted: str) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    for path in folder.glob(deleted):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in ((), ("--length", "2e-3")):
        result = invoke("generate-data", "-o", folder, *words)
        assert result.exit_code == 2
        assert "trajectory_000.xtc: has 10 frames, but its chunks hold" in " ".join(result.stderr.split())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert len(load_dataset(folder)) == 2


def test_atoms_that_do_not_fit_into_a_file_are_named(
    tiny: GenerationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = groups_of(tiny, tiny.systems[1])[0]
    (tmp_path / group.system.folder / "chunks").mkdir(parents=True)
    run = Copies.run
    monkeypatch.setattr(Copies, "run", lambda self, steps: run(self, steps) + 32.8)
    with pytest.raises(RunError, match=r"an atom is more than 32\.8 nm from the centre"):
        make_chunk(tiny, group, 0, tmp_path, lambda frames: None)


def test_other_settings_are_refused(data: Path, tiny: GenerationConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds data of other settings"):
        generate(tiny.model_copy(update={"seed": 1}), data)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        generate(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    with pytest.raises(InputError, match="holds no data to go on with"):
        generate(None, tmp_path / "none")


def test_a_failing_chunk_is_tried_again(
    tiny: GenerationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = groups_of(tiny, tiny.systems[1])[0]
    (tmp_path / group.system.folder / "chunks").mkdir(parents=True)
    run, calls = Copies.run, iter(range(1000))

    def failing(self: Copies, steps: int) -> Any:
        if next(calls) in (3, 4):
            raise RunError("copy 0 is torn apart")
        return run(self, steps)

    monkeypatch.setattr(Copies, "run", failing)
    make_chunk(tiny, group, 0, tmp_path, lambda frames: None)
    chunk = read_chunk(group.path(tmp_path, 0))
    assert chunk.report["failures"] == ["copy 0 is torn apart"] * 2
    assert chunk.frames.shape == (5, 1, 9, 3)
    monkeypatch.setattr(Copies, "run", lambda self, steps: failing_always())
    with pytest.raises(RunError, match=r"ACE-GLY-NME: .* in 3 attempts near 0\.5 ps; use a shorter"):
        make_chunk(tiny, group, 1, tmp_path, lambda frames: None)
    assert group.finished(tmp_path) == 1


def failing_always() -> Any:
    raise RunError("copy 0 is torn apart")


def test_trajectories_end_where_an_isomer_changes(
    data: Path, tiny: GenerationConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(data, tmp_path / "data")
    path = groups_of(tiny, tiny.systems[0])[1].path(tmp_path / "data", 1)
    chunk = read_chunk(path)
    frames = chunk.frames.copy()
    frames[2, 0] *= np.array([1, 1, -1], dtype=np.int16)
    write_chunk(Chunk(frames, chunk.positions, chunk.velocities, chunk.report), path)
    with caplog.at_level(logging.WARNING, logger="mlff"):
        record = assemble_system(tiny, tiny.systems[0], tmp_path / "data")
    assert record is not None
    assert [entry.frames for entry in record.trajectories] == [10, 7, 10]
    assert record.trajectories[1].cut == "frame 7: ALA 2 (chain A) became its mirror image"
    assert "trajectory 1 ends before frame 7" in caplog.text
    assert [len(t.atoms) for t in load_dataset(tmp_path / "data" / "ala2")[0].trajectories] == [10, 7, 10]


def test_isomers_of_turned_and_mirrored_peptides(systems: tuple[SystemData, ...]) -> None:
    system = systems[0]
    isomers, frames = Isomers.of(system.layout), system.atoms.numpy()
    reference = isomers.of_frames(frames[0])
    assert reference.tolist() == [True, True, True]  # two peptide bonds, one alpha carbon
    assert isomers.first_change(frames, frames[0]) is None
    mirrored = frames * np.array([1, 1, -1], dtype=np.float32)
    assert isomers.of_frames(mirrored[0]).tolist() == [True, True, False]
    # The peptide bond turned by half: what lies before C and N is mirrored at their axis.
    names = [(atom.residue.name, atom.name) for atom in system.layout.topology.atoms]
    carbon, nitrogen = names.index(("ACE", "C")), names.index(("ALA", "N"))
    axis = frames[4, nitrogen] - frames[4, carbon]
    axis /= np.linalg.norm(axis)
    turned = frames.copy()
    for name in ("CH3", "O"):
        arm = turned[4, names.index(("ACE", name))] - frames[4, carbon]
        turned[4, names.index(("ACE", name))] = frames[4, carbon] + 2 * (arm @ axis) * axis - arm
    found = isomers.first_change(turned, frames[0])
    assert found == (4, "the peptide bond of ACE 1 (chain A) and ALA 2 (chain A) turned over")


class TestProteins:
    """Structures from PDB files."""

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, tmp_path_factory: pytest.TempPathFactory, data: Path) -> GenerationConfig:
        """A PDB file of heavy atoms with water."""
        path = tmp_path_factory.mktemp("pdb") / "ala2.pdb"
        lines = [line for line in (data / "ala2" / "topology.pdb").read_text().splitlines() if line.startswith("ATOM")]
        water = "HETATM   99  O   HOH B   1      20.000  20.000  20.000  1.00  0.00           O  "
        path.write_text("\n".join([*lines, "TER", water, "END"]) + "\n")
        return GenerationConfig(
            systems=(SystemConfig(pdb=path, name="mine"),),
            trajectories=2,
            length=2e-4,
            frame_interval=0.1,
            equilibration=0,
            chunk=0.2,
            unfolding=UnfoldingConfig(time=0.5),
            test_fraction=0,
            val_fraction=0,
        )

    def test_are_completed_and_partly_unfolded(self, config: GenerationConfig, tmp_path: Path) -> None:
        generate(config, tmp_path / "data")
        record = json.loads((tmp_path / "data" / "mine" / "system.json").read_text())
        assert [entry["start"] for entry in record["trajectories"]] == [
            "given structure, minimised",
            "0.5 ps at 600 K from the given structure, minimised",
        ]
        assert record["sequence"] == "ACE-ALA-NME"
        assert mdtraj.load(str(tmp_path / "data" / "mine" / "start.pdb")).n_atoms == 22
        # The folder holds its own copy of the structure, and knows another one.
        generate(None, tmp_path / "data")
        assert config.systems[0].pdb is not None
        other = tmp_path / "other.pdb"
        other.write_text(config.systems[0].pdb.read_text().replace("20.000", "30.000"))
        changed = config.model_copy(update={"systems": (SystemConfig(pdb=other, name="mine"),)})
        with pytest.raises(InputError, match="other settings"):
            generate(changed, tmp_path / "data")

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda text: text.replace("CB  ALA", "XX  ALA"), "ALA 2 .* has an atom XX"),
            (lambda text: re.sub(r".*CB  ALA.*\n", "", text), "ALA 2 .* lacks CB"),
            (lambda text: text.replace("ALA A", "ABC A"), "unknown residue ABC"),
            (lambda text: "", "not a readable PDB|no heavy atom|holds no"),
        ],
    )
    def test_that_cannot_be_used_are_named(
        self, config: GenerationConfig, tmp_path: Path, edit: Any, message: str
    ) -> None:
        assert config.systems[0].pdb is not None
        path = tmp_path / "bad.pdb"
        path.write_text(edit(config.systems[0].pdb.read_text()))
        bad = config.model_copy(update={"systems": (SystemConfig(pdb=path),)})
        with pytest.raises(ValueError, match=message):
            generate(bad, tmp_path / "data")

    def test_that_are_missing_are_named(self, tmp_path: Path) -> None:
        options = ("--preset", "cln025", "--pdb", tmp_path / "none.pdb")
        result = invoke("generate-data", *options, "-o", tmp_path / "data")
        assert result.exit_code == 2
        assert "none.pdb" in result.stderr
