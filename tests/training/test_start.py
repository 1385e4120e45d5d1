"""The start of a run: initial weights on data with another zero of energy, devices, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.io import read, write
from lightning.pytorch.strategies import DDPStrategy

from mlff.data import DataError
from mlff.potential.training import TrainingConfig
from mlff.potential.training.start import _spread
from mlff.potential.training.trained import load_trained, read_initial_weights
from mlff.support.errors import ConfigError
from mlff.support.files import replacing, write_text
from mlff.training import RunFolder, StateError, load_config, train
from mlff.training.checkpointing import save_state, save_weights
from mlff.training.trainer import build_trainer

WriteConfig = Callable[..., Path]
ALL = ("backbone", "energy_head", "properties", "property_norm")
SHIFTS = {29: 1234.5, 79: -987.25}


def shifted_data(source: Path, target: Path, shifts: dict[int, float]) -> None:
    """The same frames with another energy zero of each element."""
    frames = read(source, ":")
    for frame in frames:
        frame.calc.results["energy"] += sum(shifts[number] for number in frame.numbers)
    write(target, frames)


@pytest.fixture
def trained(write_config: WriteConfig) -> TrainingConfig:
    config = load_config(write_config(epochs=4, output="first"))
    train(config)
    return config


def fine_tune(trained: TrainingConfig, tmp_path: Path, write_config: WriteConfig, *overrides: str) -> dict[str, Any]:
    shifted_data(tmp_path / "emt.extxyz", tmp_path / "shifted.extxyz", SHIFTS)
    path = write_config(epochs=1, optimizer={"lr": 1e-9, "warmup_steps": 0})
    tuned = load_config(path, ["data.paths=shifted.extxyz", f"output={tmp_path / 'tuned'}", *overrides])
    result = train(tuned, initial=read_initial_weights(trained.output))
    assert result.report is not None
    return result.report


def test_reference_energies_follow_the_zero_of_new_data(
    trained: TrainingConfig, tmp_path: Path, write_config: WriteConfig
) -> None:
    report = fine_tune(trained, tmp_path, write_config)
    before, _ = load_trained(trained.output)
    after, _ = load_trained(tmp_path / "tuned")
    assert torch.equal(before.scale, after.scale)
    # The shifts carry the mean error of the first model too, which is far below 1 eV.
    for number, shift in SHIFTS.items():
        assert float(after.reference_energies[number] - before.reference_energies[number]) == pytest.approx(
            shift, abs=1
        )
    assert report["errors"]["energy_per_atom_mae"] < 0.2


def test_reference_energies_are_kept_when_asked(
    trained: TrainingConfig, tmp_path: Path, write_config: WriteConfig
) -> None:
    report = fine_tune(trained, tmp_path, write_config, "reference_energies=keep")
    before, _ = load_trained(trained.output)
    after, _ = load_trained(tmp_path / "tuned")
    assert torch.equal(before.reference_energies, after.reference_energies)
    assert report["errors"]["energy_per_atom_mae"] > 100


def test_elements_that_new_data_lack_keep_their_reference_energy(
    trained: TrainingConfig, tmp_path: Path, write_config: WriteConfig
) -> None:
    frames = read(tmp_path / "emt.extxyz", ":")
    for frame in frames:
        frame.symbols[:] = "Cu"
    write(tmp_path / "copper.extxyz", frames)
    path = write_config(epochs=1, optimizer={"lr": 1e-9, "warmup_steps": 0})
    tuned = load_config(path, ["data.paths=copper.extxyz", f"output={tmp_path / 'tuned'}"])
    train(tuned, initial=read_initial_weights(trained.output))
    before, _ = load_trained(trained.output)
    after, _ = load_trained(tmp_path / "tuned")
    assert before.reference_energies[79] == after.reference_energies[79]
    assert before.reference_energies[29] != after.reference_energies[29]
    # without those weights nothing is known of gold, so the model is one of copper
    fresh = train(tuned.model_copy(update={"output": tmp_path / "fresh"}))
    assert load_trained(fresh.folder.root)[0].config.species == (29,)
    assert load_config(fresh.folder.config).model.species == (29,)


def test_the_sample_covers_compositions_and_elements() -> None:
    compositions = np.array([[4, 0, 0]] * 50 + [[3, 1, 0]] * 2 + [[2, 1, 1]])
    chosen = _spread(compositions, 6, seed=0)
    assert len(chosen) == 6
    assert {tuple(row) for row in compositions[chosen]} == {(4, 0, 0), (3, 1, 0), (2, 1, 1)}
    many = np.array([[n, 1, 0] for n in range(1, 40)] + [[5, 0, 1]])
    assert compositions[:, 2].any()
    assert all(many[_spread(many, 3, seed=seed)].any(axis=0).all() for seed in range(5))
    assert _spread(compositions, 100, seed=0) == list(range(53))


def test_several_processes_accept_parameters_without_gradient(write_config: WriteConfig) -> None:
    config = load_config(write_config(), ["devices=2"])
    strategy = build_trainer(config, RunFolder(config.output), 0).strategy
    assert isinstance(strategy, DDPStrategy)
    assert strategy._ddp_kwargs["find_unused_parameters"]
    single = config.model_copy(update={"devices": 1})
    assert not isinstance(build_trainer(single, RunFolder(config.output), 0).strategy, DDPStrategy)


def test_no_pair_within_the_cutoff(write_config: WriteConfig) -> None:
    with pytest.raises(DataError, match=r"cutoff = 0\.5 A"):
        train(load_config(write_config(), ["model.backbone.cutoff=0.5"]))


def test_the_graph_cache_is_used_and_may_change_on_resume(write_config: WriteConfig, tmp_path: Path) -> None:
    path = write_config(epochs=1)
    config = load_config(path, ["data.cache=cache"])
    train(config)
    files = list((tmp_path / "cache").glob("edges-*"))
    assert len(files) == 3
    train(load_config(path), resume=True)
    assert "cache" not in str(config.portable()["data"]["cache"])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail_half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_full_disk_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/1\nframes")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(OSError, match=r"last\.pt: cannot be written"):
        save_state(tmp_path / "last.pt", {})
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="weights"):
        save_weights(tmp_path / "absent" / "weights.safetensors", torch.nn.Linear(1, 1), {})


def test_initial_weights_of_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        read_initial_weights(tmp_path)


def test_a_dipole_is_added_to_trained_energies_which_stay_as_they_are(
    tmp_path: Path, write_config: WriteConfig, data_file: Path
) -> None:
    frames = read(data_file, ":")
    for frame in frames:
        frame.pbc = False
        frame.info["mu"] = (frame.numbers - 54.0) @ (frame.positions - frame.get_center_of_mass())
    write(data_file, frames)
    first = load_config(write_config(epochs=1, output="first"))
    train(first)
    fields = {
        "data": {"paths": data_file.name, "keys": {"dipole": "mu"}},
        "model": {"backbone": first.model.backbone.model_dump(), "properties": ["dipole"]},
        "loss": {"weights": {"energy": 0.0, "forces": 0.0, "dipole": 1.0}},
        "reference_energies": "keep",
        "freeze": ["backbone", "energy_head"],
        "init_from": "first",
        "output": "second",
    }
    config = load_config(write_config(**fields))
    train(config)
    (before, _), (after, _) = (load_trained(tmp_path / name) for name in ("first", "second"))
    kept = after.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.state_dict().items())
    new = {name.split(".")[0] for name in set(kept) - set(before.state_dict())}
    assert new == {"properties", "property_norm"}
    assert bool((after.property_norm.weight != 1.0).any())
    assert after.config.last_block == load_config(config.output / "config.yaml").model.last_block == "scalars"
    train(config, resume=True)  # its own configuration says auto
    for changes, message in (
        ({"freeze": ["backbon"]}, "no part 'backbon'; there are backbone, energy_head"),
        ({"freeze": ["backbone", "properties"]}, "properties.dipole.* would stay random"),
        ({"init_from": None}, "would stay random; give init_from"),
        ({"init_from": "second", "freeze": list(ALL)}, "nothing is left to train"),
    ):
        with pytest.raises(ConfigError, match=f"freeze: .*{message}"):
            train(load_config(write_config(**{**fields, **changes, "output": "third"})))
        assert not (tmp_path / "third" / "config.yaml").exists()
