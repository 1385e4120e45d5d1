"""Settings and the command line: what is wrong is named before anything is written."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from md_drivers.jumps.cli import app
from mlff.sampling.trajectories import PRESETS, GenerationConfig, SystemConfig, load_config, preset
from mlff.sampling.trajectories.assemble import split_of
from mlff.sampling.trajectories.config import dump_config
from mlff.support.errors import InputError


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip_through_yaml(name: Any, tmp_path: Path) -> None:
    config = preset(name, tmp_path / "a.pdb" if name == "cln025" else None)
    dump_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_the_split_of_alanine_dipeptide() -> None:
    config = preset("ala2")
    assert (len(config.systems), config.trajectories, config.temperature, config.frame_interval) == (1, 128, 300, 2)
    splits = Counter(split_of(config, config.systems[0], k) for k in range(128))
    assert splits == {"train": 94, "test": 26, "val": 8}


def test_held_out_peptides_are_new_pairs_of_known_residues() -> None:
    systems = preset("peptides").systems
    train = {s.sequence for s in systems if s.split == "train" and s.sequence}
    test = {s.sequence for s in systems if s.split == "test" and s.sequence}
    assert (len(train), len(test)) == (18, 6)
    pairs = [s for s in train if len(s) == 2]
    for place in (0, 1):
        assert set(Counter(pair[place] for pair in pairs).values()) == {2}
    assert not train & test
    assert {letter for sequence in test for letter in sequence} <= {s for s in train if len(s) == 1}
    config = preset("peptides")
    assert {split_of(config, systems[-1], k) for k in range(config.trajectories)} == {"test"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("systems: [{sequence: AZ}]", "no standard residue has the letter 'Z'"),
        ("systems: [{name: x}]", "either sequence or pdb"),
        ("systems: [{sequence: A, pdb: a.pdb}]", "either sequence or pdb"),
        ("systems: [{sequence: A, name: ../x}]", "is no name for a folder"),
        ("systems: [{sequence: A}, {sequence: A}]", "ace-ala-nme is listed more than once"),
        ("systems: [{sequence: A, split: other}]", "systems.0.split: unknown split `other`: choose from train"),
        ("frame_interval: 0.0101", "frame_interval: 0.0101 ps is no whole number of time steps of 0.004 ps"),
        ("chunk: 2.5", "chunk: 2.5 ps is no whole number of frame intervals"),
        ("length: 0.25", "length: 250 ps is no whole number of chunks of 100 ps"),
        ("trajectories: 2", "no trajectory is left to train on"),
        ("temprature: 300", "unknown field `temprature`, did you mean `temperature`?"),
        ("[1]", "expected fields such as"),
    ],
)
def test_wrong_settings_are_named(content: str, message: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(content)
    result = invoke("generate-data", settings, "-o", tmp_path / "data")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("settings.yaml", "--preset", "ala2"), "exclude each other"),
        (("--pdb", "a.pdb"), "--pdb belongs to --preset cln025"),
        (("--preset", "cln025"), "needs a PDB file"),
        (("--preset", "ala2", "--pdb", "a.pdb"), "no other preset takes one"),
        (("--length", "0.05"), "command line: "),
        (("--preset", "other"), "unknown preset `other`"),
        (("none.yaml",), "none.yaml: no such file"),
    ],
)
def test_wrong_options_are_named(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = invoke("generate-data", *arguments, "-o", tmp_path / "data")
    assert result.exit_code == 2
    assert message in re.sub(r"\x1b\[[0-9;]*m", "", result.stderr)
    assert not (tmp_path / "data").exists()


def test_names_of_folders() -> None:
    assert SystemConfig(sequence="AG").folder == "ACE-ALA-GLY-NME"
    assert SystemConfig(pdb=Path("x/5awl.pdb")).folder == "5awl"
    with pytest.raises(ValidationError, match="is no name"):
        SystemConfig(pdb=Path("x/ .pdb"))
    with pytest.raises(InputError):
        preset("cln025")


def test_nothing_is_held_out_where_fractions_are_zero() -> None:
    config = GenerationConfig(test_fraction=0, val_fraction=0)
    assert {split_of(config, config.systems[0], k) for k in range(config.trajectories)} == {"train"}


def test_help_shows_examples_and_exit_status() -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", invoke("generate-data", "--help").output)
    for words in ("Examples", "equijump generate-data", "Exit status"):
        assert words in text
