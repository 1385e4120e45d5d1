from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlff.training import ConfigError, dump_config, load_config

WriteConfig = Callable[..., Path]


def test_dump_and_load_give_the_same_configuration(write_config: WriteConfig, tmp_path: Path) -> None:
    config = load_config(write_config(loss={"kind": "l2", "forces_weight": 10}, init_from="before"))
    (tmp_path / "elsewhere").mkdir()
    dump_config(config, tmp_path / "elsewhere" / "config.yaml")
    assert load_config(tmp_path / "elsewhere" / "config.yaml") == config


def test_relative_paths_are_taken_from_the_folder_of_the_file(
    write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(output="runs/a", init_from="w.safetensors")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    config = load_config(Path("..") / path.name)
    assert config.data.paths == (tmp_path / "emt.extxyz",)
    assert config.output == tmp_path / "runs" / "a"
    assert config.init_from == tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"optimizer": {"lr": -1}}, "optimizer.lr"),
        ({"optimizer": {"lrr": 1}}, "optimizer: unknown field `lrr`, did you mean `lr`?"),
        ({"optimizer": {"anneal_by": "time"}}, "anneal_by"),
        ({"ema": 1.0}, "ema"),
        ({"batch_size": 0}, "batch_size"),
        ({"devices": 0}, "devices"),
        ({"loss": {"fixed_atoms": "some"}}, "loss.fixed_atoms"),
        ({"loss": {"kind": "mse"}}, "loss.kind"),
        ({"loss": {"energy_weight": 0, "forces_weight": 0}}, "loss"),
        ({"model": {"species": ["Xx"]}}, "model.species"),
        ({"data": {"paths": "a.xyz", "format": "cif"}}, "data.format"),
        ({"data": None}, "data"),
        ({"colour": 1}, "colour"),
    ],
)
def test_errors_name_the_file_and_the_field(write_config: WriteConfig, fields: dict[str, Any], named: str) -> None:
    path = write_config(**fields)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_all_wrong_fields_are_reported_at_once(write_config: WriteConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(epochs=0, seed=-1))
    assert {line.split(": ")[1] for line in str(caught.value).splitlines()} == {"epochs", "seed"}


def test_stress_cannot_be_trained_with_direct_forces(write_config: WriteConfig) -> None:
    with pytest.raises(ConfigError, match=r"loss\.weights\.stress needs"):
        load_config(write_config(), ["model.forces=direct", "loss.stress_weight=1.0"])


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "", "\x00"])
def test_unreadable_yaml_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_config(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        load_config(tmp_path / "absent.yaml")


def test_overrides_replace_and_add_fields(write_config: WriteConfig) -> None:
    config = load_config(write_config(), ["optimizer.lr=1e-3", "loss.kind=l2", "epochs=7"])
    assert (config.optimizer.lr, config.loss.kind, config.epochs) == (1e-3, "l2", 7)
    assert config.optimizer.warmup_steps == 2


@pytest.mark.parametrize("item", ["epochs", "=3", "epochs.more=3", "loss.kind=[", "loss.nothing=1"])
def test_bad_overrides_are_refused(write_config: WriteConfig, item: str) -> None:
    with pytest.raises(ConfigError):
        load_config(write_config(), [item])


def test_defaults_are_written_as_plain_yaml(write_config: WriteConfig, tmp_path: Path) -> None:
    dump_config(load_config(write_config()), tmp_path / "out.yaml")
    content = yaml.safe_load((tmp_path / "out.yaml").read_text())
    assert content["model"]["species"] == [29, 79]
    assert content["loss"]["kind"] == "huber"
