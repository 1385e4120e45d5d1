"""From a configuration to the three parts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from mlff.data import DataConfig, DataError, dataset_fingerprint, load_splits
from mlff.data.frame import structure_key


def load(**values):
    return load_splits(DataConfig.model_validate(values))


def energies(frames):
    return [frame.energy for frame in frames]


@pytest.fixture
def file(tmp_path, molecules):
    path = tmp_path / "all.traj"
    write(path, molecules(20))
    return path


def test_default_split_of_one_file(file):
    splits = load(paths=file)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [16, 2, 2]
    assert len({frame.index for part in (splits.train, splits.val, splits.test) for frame in part}) == 20
    assert energies(load(paths=file).train) == energies(splits.train)
    assert splits.species == (18,)
    assert splits.isolated_atoms is None


def test_separate_files(tmp_path, molecules):
    frames = molecules(6)
    for name, part in (("train", frames[:3]), ("val", frames[3:5]), ("test", frames[5:])):
        write(tmp_path / f"{name}.traj", part)
    splits = load(train=tmp_path / "train.traj", val=tmp_path / "val.traj", test=tmp_path / "test.traj")
    assert energies(splits.train) == [atoms.get_potential_energy() for atoms in frames[:3]]
    assert [len(splits.val), len(splits.test)] == [2, 1]
    divided = load(
        train=[tmp_path / "train.traj", tmp_path / "val.traj"],
        test=tmp_path / "test.traj",
        split={"kind": "random", "train": 4, "val": 1, "test": 0},
    )
    assert [len(divided.train), len(divided.val), len(divided.test)] == [4, 1, 1]
    assert energies(divided.test) == energies(splits.test)


def test_group_split_holds_out_runs(tmp_path, slabs):
    write(tmp_path / "x.traj", slabs(15))
    splits = load(
        paths=tmp_path / "x.traj", split={"kind": "group", "by": "run", "train": 0.6, "val": 0.2, "test": 0.2}
    )
    runs = [{frame.group for frame in part} for part in (splits.train, splits.val, splits.test)]
    assert [len(part) for part in runs] == [3, 1, 1]
    assert len(set.union(*runs)) == 5


def test_index_files(tmp_path, file):
    (tmp_path / "t.txt").write_text("5 4 3")
    (tmp_path / "v.txt").write_text("0")
    splits = load(
        paths=file, split={"kind": "indices", "train": str(tmp_path / "t.txt"), "val": str(tmp_path / "v.txt")}
    )
    assert [frame.index for frame in splits.train] == [5, 4, 3]
    assert [frame.index for frame in splits.val] == [0]
    assert splits.test == []


def test_duplicates_never_cross(tmp_path, molecules):
    frames = molecules(12)
    # Every structure twice, the copy within rounding of the file format.
    copies = [atoms.copy() for atoms in frames]
    for copy, atoms in zip(copies, frames, strict=True):
        copy.positions += 1e-9
        copy.calc = SinglePointCalculator(copy, **atoms.calc.results)
    write(tmp_path / "x.traj", frames + copies)
    for split in ({"kind": "random", "seed": 2}, {"kind": "group", "by": "index"}):
        for number, atoms in enumerate(frames + copies):
            atoms.info["index"] = number
        write(tmp_path / "x.traj", frames + copies)
        splits = load(paths=tmp_path / "x.traj", split=split)
        parts = [{structure_key(frame) for frame in part} for part in (splits.train, splits.val, splits.test)]
        assert sum(len(part) for part in parts) == 12
        assert len(set.union(*parts)) == 12
    write(tmp_path / "a.traj", frames[:2])
    write(tmp_path / "b.traj", copies[1:3])
    with pytest.raises(DataError, match=r"b\.traj, frame 0: the same structure is in train \(.*a\.traj, frame 1\)"):
        load(train=tmp_path / "a.traj", val=tmp_path / "b.traj")
    assert len(load(train=tmp_path / "a.traj", val=tmp_path / "b.traj", allow_duplicates=True).val) == 2


def test_large_forces_leave_training_only(tmp_path, molecules):
    frames = molecules(10)
    frames[3].calc.results["forces"][0] = [30.0, 0, 0]
    frames[8].calc.results["forces"][0] = [30.0, 0, 0]
    write(tmp_path / "t.traj", frames[:6])
    write(tmp_path / "v.traj", frames[6:])
    splits = load(train=tmp_path / "t.traj", val=tmp_path / "v.traj", max_train_force=20.0)
    assert (len(splits.train), len(splits.val), splits.left_out) == (5, 4, 1)
    assert all(frame.index != 3 for frame in splits.train)
    with pytest.raises(DataError, match="no training frame has forces below"):
        load(train=tmp_path / "t.traj", val=tmp_path / "v.traj", max_train_force=1e-9)


def test_reference_energies_and_species(file):
    assert load(paths=file, reference_energies={"Ar": -1.5}).isolated_atoms == {18: -1.5}
    with pytest.raises(DataError, match="`species` lists only"):
        load(paths=file, species=["Cu"])


def test_fingerprint_is_the_sha256_of_the_bytes(tmp_path, file):
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    fingerprint = load(paths=file).fingerprint
    assert fingerprint.files == (("all.traj", expected),)
    other = tmp_path / "other.bin"
    other.write_bytes(b"abc")
    # Test vector of FIPS 180-2.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert dataset_fingerprint([other]).files == (("other.bin", abc),)
    both = dataset_fingerprint([file, other])
    assert both.sha256 == dataset_fingerprint([other, file]).sha256 != fingerprint.sha256
    assert str(tmp_path) not in str(both.to_dict())
    with pytest.raises(DataError, match="cannot be read"):
        dataset_fingerprint([tmp_path / "absent"])


def test_frames_are_in_eV_and_checked_once(file):
    frame = load(paths=file, units={"energy": "meV"}).train[0]
    reference = load(paths=file).train[0]
    assert frame.energy == pytest.approx(1e-3 * reference.energy)
    np.testing.assert_allclose(frame.forces, 1e-3 * reference.forces)
