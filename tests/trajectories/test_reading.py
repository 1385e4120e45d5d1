"""Trajectories of the user: what is read is what was written, and what is wrong is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.protein_structures import mdtraj, topology_of
from support.trajectory_files import trembling

from mlff.proteins import StructureError
from mlff.trajectories import DataError, fingerprint, load_dataset, read_record, write_record

WriteSystem = Callable[..., Path]


def edited(path: Path, **changes: Any) -> Path:
    """A copy of a description with other fields; None takes a field away."""
    content = {**yaml.safe_load(path.read_text()), **changes}
    copy = path.with_name("edited.yaml")
    copy.write_text(yaml.safe_dump({name: value for name, value in content.items() if value is not None}))
    return copy


def test_frames_come_back_in_their_trajectories(tmp_path: Path, system_file: WriteSystem) -> None:
    topology = topology_of([[("ACE", ["CH3", "C", "O"]), ("GLY", ["CA", "N", "C", "O"]), ("NME", ["C", "N"])]])
    rng = np.random.default_rng(0)
    written = [trembling(topology, number, rng) for number in (7, 5)]
    path = system_file(tmp_path, ("ACE", "GLY", "NME"), splits=("train", "test"), coordinates=written)
    (system,) = load_dataset(edited(path, conditions={"temperature": 310.0}))
    assert (system.name, system.sequence, system.split) == ("edited", "ACE-GLY-NME", "train")
    assert system.conditions.temperature == 310.0
    assert system.conditions.friction is None
    assert [(t.split, t.first, len(t.atoms)) for t in system.trajectories] == [("train", 0, 7), ("test", 7, 5)]
    for trajectory, xyz in zip(system.trajectories, written, strict=True):
        assert np.abs(trajectory.atoms.numpy() - xyz).max() < 0.0051  # XTC files have 0.01 Å
        assert trajectory.atoms.data_ptr() == system.atoms[trajectory.first].data_ptr()


def test_hydrogens_and_water_are_left_out(tmp_path: Path) -> None:
    chain = [("ACE", ["H1", "CH3", "C", "O"]), ("ALA", ["N", "H", "CA", "CB", "C", "O"]), ("NME", ["N", "H", "C"])]
    topology = topology_of([chain, [("HOH", ["O"])]])
    xyz = trembling(topology, 6, np.random.default_rng(0))
    trajectory = mdtraj.Trajectory((xyz / 10).astype(np.float32), topology)
    trajectory[0].save_pdb(str(tmp_path / "all.pdb"))
    trajectory.save_dcd(str(tmp_path / "all.dcd"))
    content = {"topology": "all.pdb", "frame_interval": 2, "trajectories": ["all.dcd"], "split": "test"}
    (tmp_path / "mine.json").write_text(json.dumps({**content, "atoms": "not water"}))
    (system,) = load_dataset(str(tmp_path / "mine.json"))
    heavy = [a.index for a in topology.atoms if a.element.symbol != "H" and a.residue.name != "HOH"]
    assert system.trajectories[0].split == "test"
    np.testing.assert_allclose(system.atoms.numpy(), xyz[:, heavy], rtol=0, atol=1e-5)
    (tmp_path / "mine.json").write_text(json.dumps(content))
    with pytest.raises(StructureError, match=r"all\.pdb: unknown residue HOH"):
        load_dataset(tmp_path / "mine.json")


def test_records_round_trip(tmp_path: Path, two_systems: tuple[Path, Path]) -> None:
    record = read_record(two_systems[0])
    write_record(record, tmp_path / "system.json")
    assert read_record(tmp_path / "system.json") == record


def test_a_file_that_has_grown_is_read_as_described(two_systems: tuple[Path, Path]) -> None:
    content = yaml.safe_load(two_systems[0].read_text())
    entries = [{**entry, "frames": 15} for entry in content["trajectories"]]
    whole, part = load_dataset(two_systems[0])[0], load_dataset(edited(two_systems[0], trajectories=entries))[0]
    assert part.trajectories[1].atoms.equal(whole.trajectories[1].atoms[:15])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topology": "none.pdb"}, r"none\.pdb: not a readable topology"),
        ({"trajectories": ["none.xtc"]}, r"none\.xtc: not a readable trajectory"),
        ({"trajectories": ["small.yaml"]}, r"small\.yaml: not a readable trajectory"),
        ({"trajectories": ["large_0.xtc"]}, r"large_0\.xtc: not a readable trajectory of this topology"),
        ({"trajectories": []}, "trajectories: "),
        ({"trajectories": ["small_0.xtc", "small_0.xtc"]}, r"small_0\.xtc is listed more than once"),
        ({"trajectories": [{"file": "small_0.xtc", "frames": 41}]}, r"small_0\.xtc: holds 40 frames, expected 41"),
        ({"split": "test"}, r"small_0\.xtc has the split 'train', but its whole system is held out as 'test'"),
        ({"frame_interval": None}, "frame_interval: Field required"),
        ({"frame_interval": -1}, "frame_interval: "),
        ({"lag": 3}, "unknown field `lag`"),
        ({"atoms": "resname XYZ"}, "'resname XYZ' selects nothing"),
        ({"atoms": "what and ever"}, "'what and ever' is no selection"),
        ({"schema_version": 2}, "schema_version: "),
    ],
)
def test_bad_descriptions_are_named(two_systems: tuple[Path, Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(edited(two_systems[0], **changes))


def test_what_is_no_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data; expected a folder with dataset\.json"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="no data"):
        load_dataset([])
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="systems: expected a list"):
        load_dataset(tmp_path)
    (tmp_path / "text.yaml").write_text("[")
    with pytest.raises(DataError, match=r"text\.yaml: not valid YAML"):
        load_dataset(tmp_path / "text.yaml")


def test_molecules_that_a_box_has_cut_are_refused(tmp_path: Path, system_file: WriteSystem) -> None:
    path = system_file(tmp_path)
    trajectory = mdtraj.load(str(tmp_path / "system_1.xtc"), top=str(tmp_path / "system.pdb"))
    trajectory.xyz[17, -2:] += 3.0
    trajectory.save_xtc(str(tmp_path / "system_1.xtc"))
    with pytest.raises(StructureError, match=r"system_1\.xtc, frame 17: broken chain"):
        load_dataset(path)


def test_a_sequence_belongs_to_one_split(tmp_path: Path, system_file: WriteSystem) -> None:
    first = system_file(tmp_path / "a")
    second = system_file(tmp_path / "b", splits=("test",) * 3, split="test")
    with pytest.raises(DataError, match="ACE-ALA-NME is held out as 'test'"):
        load_dataset([first, second])
    assert len(load_dataset([first, system_file(tmp_path / "c")])) == 2


def test_a_file_belongs_to_one_system(tmp_path: Path, system_file: WriteSystem) -> None:
    first = system_file(tmp_path)
    with pytest.raises(DataError, match=r"system_0\.xtc is read more than once, for system .* and for edited"):
        load_dataset([first, edited(first)])


def test_a_file_is_read_once_by_whatever_name(tmp_path: Path, system_file: WriteSystem) -> None:
    path = system_file(tmp_path)
    with pytest.raises(DataError, match=r"system_0\.xtc is read more than once"):
        load_dataset([path, path])
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / path.name  # a description of the same name elsewhere
    entries = [{"file": f"../system_{k}.xtc"} for k in range(3)]
    copy.write_text(yaml.safe_dump({"topology": "../system.pdb", "frame_interval": 0.5, "trajectories": entries}))
    with pytest.raises(DataError, match=r"system_0\.xtc is read more than once"):
        load_dataset([path, copy])
    with pytest.raises(DataError, match=r"system_1\.xtc is read more than once"):
        load_dataset(edited(path, trajectories=["system_1.xtc", "other/../system_1.xtc"]))
    folder = tmp_path / "folder"
    system_file(folder, name="any").rename(folder / "system.json")
    with pytest.raises(DataError, match=r"any_0\.xtc is read more than once"):
        load_dataset([folder, folder])


def test_files_are_those_of_their_sums(tmp_path: Path, system_file: WriteSystem) -> None:
    path = system_file(tmp_path, frames=(40,), splits=("train",))
    file = tmp_path / "system_0.xtc"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def described(**fields: Any) -> Path:
        return edited(path, trajectories=[{"file": file.name, "sha256": sha256, **fields}])

    whole = load_dataset(described(frames=40))[0].atoms
    assert load_dataset(described())[0].atoms.equal(whole)
    trajectory = mdtraj.load(str(file), top=str(tmp_path / "system.pdb"))
    mdtraj.join([trajectory, trajectory[:5]]).save_xtc(str(file))
    assert load_dataset(described(frames=40))[0].atoms.equal(whole)  # it has grown
    trajectory.xyz[20] += 0.001
    trajectory.save_xtc(str(file))
    for fields in ({"frames": 40}, {}):
        with pytest.raises(DataError, match=r"system_0\.xtc: is not the file that its description was written for"):
            load_dataset(described(**fields))


def test_the_fingerprint_changes_with_the_data_and_not_with_their_place(
    tmp_path: Path, system_file: WriteSystem
) -> None:
    path = system_file(tmp_path / "a")
    (system,) = load_dataset(path)
    (elsewhere,) = load_dataset(system_file(tmp_path / "b"))
    assert fingerprint([system]) == fingerprint([elsewhere])
    atoms = system.atoms.clone()
    atoms[3, 2, 1] += 1e-3
    moved = replace(system.trajectories[0], split="val")
    changed = [
        replace(system, atoms=atoms),
        replace(system, name="other"),
        replace(system, split="test"),
        replace(system, frame_interval=2.0),
        replace(system, trajectories=(moved, *system.trajectories[1:])),
        replace(system, trajectories=system.trajectories[::-1]),
    ]
    found = [fingerprint([data]) for data in (system, *changed)]
    found += [fingerprint([]), fingerprint([system, changed[1]]), fingerprint([changed[1], system])]
    assert len(set(found)) == len(found)
