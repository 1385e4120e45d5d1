"""Data configurations: what is accepted, and messages that name the field."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from mlff.data import DataConfig, GroupSplit, IndexSplit, RandomSplit
from mlff.support.settings import with_paths


def test_one_file_and_defaults():
    config = DataConfig.model_validate({"paths": "a.xyz"})
    assert config.files == (Path("a.xyz"),)
    assert config.effective_split == RandomSplit(seed=0, train=0.8, val=0.1, test=0.1)
    assert (config.keys.energy, config.keys.forces, config.keys.stress) == ("energy", "forces", None)
    assert config.allowed_numbers is None


@pytest.mark.parametrize(
    "text",
    [
        "paths: [a.xyz, b.traj]\nsplit: {kind: group, by: run, seed: 3}\nspecies: [Cu, O, H]",
        "train: a.npz\ntest: b.npz\nunits: {energy: kcal/mol}\nsplit: {kind: random, train: 950, val: 50, test: 0}",
        "train: a.xyz\nval: b.xyz\nkeys: {forces: force, stress: virial}\nunits: {stress_convention: virial}",
        "paths: a.db\nsplit: {kind: indices, train: t.txt, val: v.npy}\nreference_energies: {Cu: -3.5}",
        "paths: a.xyz\nsplit: {kind: random, train: 1.0, val: 0.0, test: 0.0}\nisolated_atoms: iso.xyz",
    ],
)
def test_yaml_round_trip(text):
    config = DataConfig.model_validate(yaml.safe_load(text))
    dumped = yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))
    assert DataConfig.model_validate(dumped) == config
    if isinstance(config.split, RandomSplit):
        # Counts stay counts, fractions fractions.
        assert type(config.split.train) is type(DataConfig.model_validate(dumped).split.train)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"pathes": "b.xyz"}, "pathes", "Extra inputs"),
        ({"keys": {"force": "f"}}, "keys.force", "Extra inputs"),
        ({"keys": {"energy": ""}}, "keys.energy", "at least 1 character"),
        ({"units": {"energy": "kcal"}}, "units.energy", "kcal/mol"),
        ({"units": {"forces": "eV/parsec"}}, "units.forces", "unknown force unit 'eV/parsec'"),
        ({"units": {"length": "m"}}, "units.length", "'Bohr'"),
        ({"format": "hdf5"}, "format", "'npz'"),
        ({"split": {"kind": "magic"}}, "split", "'group'"),
        ({"split": {"kind": "random", "train": 1.4}}, "split.random.train", "fraction from 0.0 to 1.0"),
        ({"split": {"kind": "random", "val": -1}}, "split.random.val", "got -1"),
        ({"split": {"kind": "random", "train": 0.95}}, "split.random", "add up to 1.05"),
        ({"split": {"train": 0.9, "val": 0.2, "test": 0.0}}, "split.random", "add up to 1.1"),
        ({"split": {"kind": "random", "train": 10}}, "split.random", "not a mixture"),
        ({"split": {"kind": "random", "train": 0, "val": 5, "test": 5}}, "split.random", "train must be larger than 0"),
        ({"split": {"kind": "group"}}, "split.group.by", "Field required"),
        ({"split": {"kind": "group", "by": "run", "train": 0.95}}, "split.group", "> 1"),
        ({"split": {"kind": "indices"}}, "split.indices.train", "Field required"),
        ({"species": ["Cu", "Xx"]}, "species.1", "unknown chemical element `Xx`"),
        ({"species": []}, "species", "at least 1 item"),
        ({"reference_energies": {"Q": 1.0}}, "reference_energies.Q.[key]", "unknown chemical element `Q`"),
        ({"max_train_force": 0}, "max_train_force", "greater than 0"),
        ({"train": "b.xyz"}, "", "either in `paths` or in `train`"),
        ({"test": "b.xyz"}, "", "`val` and `test` go with `train`"),
        ({"isolated_atoms": "i.xyz", "reference_energies": {"H": 1.0}}, "", "not both"),
    ],
)
def test_errors_name_the_field(change, field, message):
    with pytest.raises(ValidationError) as caught:
        DataConfig.model_validate({"paths": "a.xyz"} | change)
    (error,) = caught.value.errors()
    text = f"{error['msg']} {error.get('ctx', '')}"
    assert ".".join(map(str, error["loc"])) == field
    assert message in text


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "either in `paths` or in `train`"),
        ({"train": "a.xyz", "val": "b.xyz", "split": {"kind": "random"}}, "nothing to divide"),
        ({"train": "a.xyz", "split": {"kind": "random", "train": 0.8, "test": 0.1}}, "`split.test` must be 0"),
        ({"train": "a.xyz", "split": {"kind": "random", "val": 0, "test": 0}}, "`split.val` is needed"),
    ],
)
def test_inconsistent_files(config, message):
    with pytest.raises(ValidationError, match=message):
        DataConfig.model_validate(config)


def test_training_files_without_validation_are_divided():
    split = DataConfig.model_validate({"train": "a.xyz", "test": "t.xyz"}).effective_split
    assert (split.train, split.val, split.test) == (0.9, 0.1, 0)
    assert DataConfig.model_validate({"train": "a.xyz", "val": "v.xyz"}).effective_split is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kind": "random", "train": 0.9, "val": 0.1}, (0.9, 0.1, 0.0)),
        ({"train": 0.6}, (0.6, 0.1, 0.3)),
        ({"val": 0.2}, (0.7, 0.2, 0.1)),
        ({"test": 0.3}, (0.6, 0.1, 0.3)),
        ({}, (0.8, 0.1, 0.1)),
        ({"train": 100, "val": 20}, (100, 20, 0)),
        ({"kind": "group", "by": "run", "train": 0.7, "val": 0.2}, (0.7, 0.2, 0.1)),
    ],
)
def test_shares_that_are_not_given(given, expected):
    split = DataConfig.model_validate({"paths": "a.xyz", "split": given}).split
    assert (split.train, split.val, split.test) == pytest.approx(expected)
    assert split.kind == given.get("kind", "random")
    assert type(split.train) is type(expected[0])


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"kind": "random"}, (0.9, 0.1, 0)), ({"val": 0.3}, (0.7, 0.3, 0)), ({"seed": 4, "train": 0.5}, (0.5, 0.1, 0))],
)
def test_no_test_share_where_training_files_are_named(given, expected):
    split = DataConfig.model_validate({"train": "a.xyz", "split": given}).split
    assert (split.train, split.val, split.test) == pytest.approx(expected)


def test_configs_are_frozen():
    config = DataConfig.model_validate({"paths": "a.xyz"})
    with pytest.raises(ValidationError):
        config.format = "npz"
    with pytest.raises(ValidationError):
        config.keys.energy = "e"


def test_relative_paths_follow_the_configuration_file(tmp_path):
    config = DataConfig(
        paths=(Path("a.xyz"), tmp_path / "b.xyz"),
        isolated_atoms=Path("iso.xyz"),
        cache=Path("cache"),
        split=IndexSplit(kind="indices", train=Path("t.txt")),
    )
    moved = with_paths(config, Path("folder").joinpath)
    assert moved.paths == (Path("folder/a.xyz"), tmp_path / "b.xyz")
    assert moved.isolated_atoms == Path("folder/iso.xyz")
    assert moved.cache == Path("folder/cache")
    assert moved.split == IndexSplit(kind="indices", train=Path("folder/t.txt"))


def test_species_become_sorted_numbers():
    config = DataConfig(paths=(Path("a.xyz"),), species=("Cu", "H", "O"), split=GroupSplit(kind="group", by="run"))
    assert config.allowed_numbers == (1, 8, 29)
