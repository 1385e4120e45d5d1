"""Whole small data sets: what is in the files, interruption, wrong folders."""

from __future__ import annotations

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
from ase.units import Bohr
from typer.testing import CliRunner

from mlff.cli import app
from mlff.data import DataKeys, Frame, read_frames, read_isolated_atoms
from mlff.sampling.peptides import (
    NotConvergedError,
    PeptideDataConfig,
    PeptideError,
    capped_name,
    generate,
    label,
    shards,
    total_charge,
)
from mlff.sampling.peptides.config import dump_config
from mlff.sampling.peptides.output import write_parts
from mlff.sampling.peptides.shards import Shard, make_shard, read_shard, write_shard
from mlff.support.errors import RunError

pytestmark = pytest.mark.usefixtures("packages")

PARTS = ("train", "val", "test")
FILES = (*(f"{part}.extxyz.gz" for part in PARTS), "isolated_atoms.extxyz", "README.md", "provenance.json")


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def data(packages: None, tiny: PeptideDataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of `tiny`, made without interruption."""
    folder = tmp_path_factory.mktemp("peptides")
    generate(tiny, folder)
    return folder


@pytest.fixture(scope="module")
def frames(data: Path) -> dict[str, list[Frame]]:
    return {part: read_frames(data / f"{part}.extxyz.gz") for part in PARTS}


def test_parts_hold_the_peptides_they_should(frames: dict[str, list[Frame]]) -> None:
    sequences = {part: {frame.atoms.info["sequence"] for frame in frames[part]} for part in PARTS}
    assert sequences["train"] == sequences["val"] == {"ACE-GLY-NME", "ACE-ALA-NME"}
    # T holds a test residue, GA is a test peptide of training residues.
    assert sequences["test"] == {"ACE-THR-NME", "ACE-GLY-ALA-NME"}
    places = [(f.atoms.info["run"], f.atoms.info["step"]) for part in PARTS for f in frames[part]]
    assert len(set(places)) == len(places)


def test_frames_carry_their_labels_and_origin(frames: dict[str, list[Frame]], tiny: PeptideDataConfig) -> None:
    frame = frames["test"][0]
    again = label(frame.atoms.numbers, frame.atoms.positions, frame.atoms.info["charge"], tiny.labels)
    # Positions in the file have eight decimals.
    assert frame.energy == pytest.approx(again.energy, abs=1e-6)
    assert np.abs(frame.forces - again.forces).max() < 1e-5
    for frame in (frame for part in PARTS for frame in frames[part]):
        info = frame.atoms.info
        run = tiny.trajectories[int(info["run"].split("/")[1])]
        assert (info["temperature"], info["solvent"]) == (run.temperature, run.solvent)
        assert info["noise"] == 0 or 0.05 <= info["noise"] <= 0.1
        assert info["charge"] == 0
    noises = [frame.atoms.info["noise"] for part in PARTS for frame in frames[part]]
    assert 0 < sum(noise > 0 for noise in noises) < len(noises)


def test_reference_energies_are_read_by_training(data: Path, frames: dict[str, list[Frame]]) -> None:
    references = read_isolated_atoms(data / "isolated_atoms.extxyz")
    assert set(references) == {1, 6, 7, 8, 16}
    for frame in frames["train"]:
        assert frame.energy < sum(references[int(number)] for number in frame.atoms.numbers)


def test_provenance_and_figure(data: Path, tiny: PeptideDataConfig) -> None:
    content = json.loads((data / "provenance.json").read_text())
    assert PeptideDataConfig.model_validate(content["settings"]) == tiny
    assert content["frames"] == {"train": 8, "val": 4, "test": 12}
    assert content["method"] == "GFN2-xTB"
    for record in content["peptides"].values():
        assert {"OpenMM", "tblite", "PeptideBuilder", "python"} <= set(record["versions"])
        assert record["labelled"] == 6
        assert record["cis_or_d"] == 0
    assert (data / "summary.png").read_bytes().startswith(b"\x89PNG")
    assert "CC0" in (data / "README.md").read_text()


def test_interrupted_and_resumed_files_are_the_same(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    settings, folder = tmp_path / "settings.yaml", tmp_path / "data"
    dump_config(tiny, settings)
    words = ["data", "peptides", "-o", str(folder), "--config", str(settings)]
    process = subprocess.Popen([sys.executable, "-m", "mlff.cli", *words], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(folder.glob("shards/*.npz")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert f"stopped; continue with: python -m mlff.cli {shlex.join(words)}" in errors
    assert not (folder / "provenance.json").exists()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("shards/*.npz")}
    assert 0 < len(before) < 4
    calls: list[tuple[int, int]] = []
    generate(tiny, folder, workers=2, on_progress=lambda *counts: calls.append(counts))
    assert calls[0][0] >= 6 * len(before)
    assert calls[-1] == (24, 24)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name in FILES:
        assert (folder / name).read_bytes() == (data / name).read_bytes(), name
    assert list(tmp_path.rglob("*.tmp")) == []


def test_the_command_reports_what_it_made(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    dump_config(tiny, tmp_path / "settings.yaml")
    result = invoke("data", "peptides", "-o", tmp_path / "data", "--config", tmp_path / "settings.yaml")
    assert result.exit_code == 0
    assert "frames: 8 train, 4 val, 12 test; left out: 0 not converged, 0 above max force" in result.stderr
    assert "commit" in json.loads((tmp_path / "data" / "provenance.json").read_text())


def test_other_settings_are_refused(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    with pytest.raises(PeptideError, match="holds data of other settings"):
        generate(tiny.model_copy(update={"seed": 1}), data)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(PeptideError, match="is not empty"):
        generate(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_parts_without_frames_have_no_file(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    config = tiny.model_copy(update={"peptides": ("G",), "test_peptides": (), "val_fraction": 0.0})
    content = write_parts(config, {"G": data / "shards" / "ACE-GLY-NME.npz"}, tmp_path, {})
    assert content["frames"] == {"train": 6, "val": 0, "test": 0}
    assert sorted(path.name for path in tmp_path.glob("*.gz")) == ["train.extxyz.gz"]


def test_frames_with_too_large_forces_are_left_out(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    paths = {sequence: data / "shards" / f"{capped_name(sequence)}.npz" for sequence in tiny.peptides}
    largest = np.concatenate([read_shard(path).largest_forces for path in paths.values()])
    limit = float(np.median(largest))
    content = write_parts(tiny.model_copy(update={"max_force": limit}), paths, tmp_path, {})
    assert content["left_out"]["above_max_force"] == 12 == (largest > limit).sum()
    kept = [frame for path in tmp_path.glob("*.gz") for frame in read_frames(path)]
    assert len(kept) == 12
    assert max(frame.max_force for frame in kept) <= limit


def test_errors_of_workers_name_the_peptide(tiny: PeptideDataConfig, tmp_path: Path) -> None:
    dynamics = tiny.dynamics.model_copy(update={"time_step": 10.0})
    config = tiny.model_copy(update={"dynamics": dynamics, "runs": tiny.runs[:1]})
    with pytest.raises(RunError, match=r"ACE-\w+-NME: dynamics at 300 K failed near step \d+: .*time_step"):
        generate(config, tmp_path)
    assert list((tmp_path / "shards").iterdir()) == []


def test_damaged_shards_are_named(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    paths = {}
    for sequence in tiny.peptides:
        name = f"{capped_name(sequence)}.npz"
        paths[sequence] = tmp_path / name
        paths[sequence].write_bytes((data / "shards" / name).read_bytes()[: -200 if sequence == "T" else None])
    with pytest.raises(PeptideError, match=r"ACE-THR-NME\.npz: cannot be read.*delete it"):
        write_parts(tiny, paths, tmp_path, {})


class TestFailures:
    """Labels that do not converge."""

    @pytest.fixture(scope="class")
    @classmethod
    def shard(cls, tiny: PeptideDataConfig) -> Shard:
        calls = iter(range(100))

        def failing(*arguments: Any) -> Any:
            if next(calls) % 3 == 0:
                raise NotConvergedError("SCF not converged in 250 cycles")
            return label(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shards, "label", failing)
            return make_shard(tiny, "G")

    def test_are_left_out_and_recorded(self, shard: Shard, data: Path) -> None:
        whole = read_shard(data / "shards" / "ACE-GLY-NME.npz")
        keep = np.arange(6) % 3 != 0
        assert np.array_equal(shard.positions, whole.positions[keep])
        assert np.abs(shard.forces - whole.forces[keep]).max() < 1e-9
        assert [entry["step"] for entry in shard.report["left_out"]] == whole.step[~keep].tolist()
        assert "not converged" in shard.report["left_out"][0]["reason"]

    def test_are_reported(
        self, shard: Shard, data: Path, tiny: PeptideDataConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        paths = {sequence: data / "shards" / f"{capped_name(sequence)}.npz" for sequence in tiny.peptides}
        paths["G"] = tmp_path / "shard.npz"
        write_shard(shard, paths["G"])
        with caplog.at_level(logging.WARNING, logger="mlff"):
            content = write_parts(tiny, paths, tmp_path, {})
        assert content["left_out"] == {"not_converged": 2, "above_max_force": 0}
        assert len(content["peptides"]["ACE-GLY-NME"]["not_converged"]) == 2
        assert content["frames"] == {"train": 7, "val": 3, "test": 12}
        assert "2 labels did not converge" in caplog.text

    def test_of_all_frames_are_an_error(self, tiny: PeptideDataConfig) -> None:
        labels = tiny.labels.model_copy(update={"max_iterations": 1})
        hopeless = tiny.model_copy(update={"labels": labels, "runs": tiny.runs[:1], "frames": 1})
        with pytest.raises(RunError, match="not one of its 1 frames could be labelled"):
            make_shard(hopeless, "G")


def test_charges_reach_the_labels(tiny: PeptideDataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    charges = set()

    def noting(numbers: Any, positions: Any, charge: int, settings: Any) -> Any:
        charges.add(charge)
        return label(numbers, positions, charge, settings)

    monkeypatch.setattr(shards, "label", noting)
    config = tiny.model_copy(update={"runs": tiny.runs[:1], "frames": 1})
    for sequence in ("D", "K"):
        make_shard(config, sequence)
    assert charges == {-1, 1} == {total_charge("D"), total_charge("K")}


def test_dipole_moments_are_read_about_the_centre_of_mass(tiny: PeptideDataConfig, tmp_path: Path) -> None:
    from tblite.interface import Calculator

    peptides = {"peptides": ("G", "D"), "test_residues": ("D",), "test_peptides": ()}
    generate(tiny.model_copy(update={**peptides, "runs": tiny.runs[:1], "frames": 4}), tmp_path / "data")
    for part, charge in (("train", 0), ("test", -1)):
        frames = read_frames(tmp_path / "data" / f"{part}.extxyz.gz", keys=DataKeys(dipole="dipole"))
        assert frames
        for atoms, labels in ((frame.atoms, frame.labels) for frame in frames):
            assert atoms.info["charge"] == charge
            calculator = Calculator("GFN2-xTB", atoms.numbers, atoms.positions / Bohr, charge=charge)
            calculator.set("verbosity", 0)
            # Files refer to the origin, labels to the centre of mass.
            dipole = calculator.singlepoint()["dipole"] * Bohr - charge * atoms.get_center_of_mass()
            assert labels["dipole"] == pytest.approx(dipole, abs=1e-4)


def test_shards_without_dipole_moments_are_refused(data: Path, tiny: PeptideDataConfig, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    path = folder / "shards" / "ACE-GLY-NME.npz"
    with np.load(path) as archive:
        np.savez(path, **{name: archive[name] for name in archive.files if name != "dipole"})
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    with pytest.raises(PeptideError, match=r"1 of its shards .* without dipole moments \(ACE-GLY-NME\.npz\)"):
        generate(tiny, folder)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("peptides: [AZ]", "no standard residue has the letter 'Z'"),
        ("frames: 0", "frames: "),
        ("fames: 3", "unknown field `fames`, did you mean `frames`?"),
    ],
)
def test_the_command_names_wrong_settings(text: str, message: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(text)
    result = invoke("data", "peptides", "-o", tmp_path / "data", "--config", settings)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "data").exists()


def test_quick_and_config_exclude_each_other(tmp_path: Path) -> None:
    result = invoke("data", "peptides", "-o", tmp_path / "data", "--config", tmp_path / "settings.yaml", "--quick")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_help_shows_examples_and_exit_status() -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", invoke("data", "peptides", "--help").output)
    for words in ("Examples", "mlff data peptides", "Exit status"):
        assert words in text
