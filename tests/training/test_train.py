"""Whole runs on frames labelled with EMT; a few seconds in all."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from support.rounding import rounding

from mlff.potential.training import TrainingConfig
from mlff.potential.training.trained import load_trained, read_initial_weights
from mlff.training import ConfigError, RunFolder, TrainingError, TrainingInterrupted, load_config, train
from mlff.training.checkpointing import load_weights
from mlff.training.environment import RunPart
from mlff.training.metrics_table import read_metrics

WriteConfig = Callable[..., Path]


class Killed(Exception):
    """Stands for a kill: nothing is saved when it strikes."""


def kill_at(step: int) -> Callable[[int, int, dict[str, float]], None]:
    def strike(now: int, total: int, metrics: dict[str, float]) -> None:
        if now == step:
            raise Killed

    return strike


def signal_at(step: int, signum: int) -> Callable[[int, int, dict[str, float]], None]:
    def strike(now: int, total: int, metrics: dict[str, float]) -> None:
        if now == step:
            os.kill(os.getpid(), signum)

    return strike


def losses(config: TrainingConfig) -> list[dict[str, str]]:
    """The metrics as written, to the last digit, without what depends on the clock."""
    with RunFolder(config.output).metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("minutes", "frames_per_second")} for row in rows]


def same_weights(first: TrainingConfig, second: TrainingConfig) -> bool:
    a, b = (load_weights(RunFolder(config.output).weights)[0] for config in (first, second))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_falls_and_the_folder_is_complete(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=12, loss={"stress_weight": 1.0}, data={
        "paths": "emt.extxyz", "keys": {"stress": "stress"},
    }))  # fmt: skip
    result = train(config)
    rows = read_metrics(result.folder.metrics)
    training = [row["loss"] for row in rows if "loss" in row]
    assert len(training) == 12 * 4
    assert sum(training[-4:]) < 0.7 * sum(training[:4])
    validation = [row["val_loss"] for row in rows if "val_loss" in row]
    assert len(validation) == 12
    assert validation[-1] < validation[0]

    assert result.report is not None
    for name in ("energy_per_atom", "forces", "stress"):
        assert result.report["errors"][f"{name}_mae"] <= result.report["errors"][f"{name}_rmse"]
    expected = {"metrics.json", "elements.md", "data.json", "learning_curve.png"}
    expected |= {f"parity_{name}.png" for name in ("energy", "forces", "stress")}
    assert {path.name for path in result.folder.report.iterdir()} == expected
    assert list((result.folder.root / "tensorboard").glob("events.*"))
    report = json.loads((result.folder.report / "metrics.json").read_text())
    assert report["best_validation"]["val_loss"] == min(validation)
    assert report["seed"] == 0
    assert report["hardware"]
    split = json.loads(result.folder.data_record.read_text())["split"]
    indices = [entry["index"] for part in split.values() for entry in part]
    assert sorted(indices) == list(range(20))
    assert load_config(result.folder.config) == config


@pytest.mark.parametrize(("save_every_minutes", "kind"), [(1e-9, "muon"), (1e-9, "adamw"), (60.0, "adamw")])
def test_a_killed_run_continues_with_the_same_losses(
    write_config: WriteConfig, tmp_path: Path, save_every_minutes: float, kind: str
) -> None:
    # 4 steps per epoch: the kill strikes inside the second epoch; the state is that of step 5, or of the epoch's start.
    whole = load_config(write_config(optimizer={"kind": kind, "lr": 1e-3}))
    cut = whole.model_copy(update={"output": tmp_path / "cut", "save_every_minutes": save_every_minutes})
    train(whole)
    with pytest.raises(Killed):
        train(cut, on_step=kill_at(6))
    train(cut, resume=True)
    assert losses(cut) == losses(whole)
    assert same_weights(whole, cut)


def test_rows_that_average_several_steps_survive_a_kill(write_config: WriteConfig, tmp_path: Path) -> None:
    whole = load_config(write_config(log_every=3))
    cut = whole.model_copy(update={"output": tmp_path / "cut", "save_every_minutes": 1e-9})
    train(whole)
    with pytest.raises(Killed):
        train(cut, on_step=kill_at(6))
    train(cut, resume=True)
    assert losses(cut) == losses(whole)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_steps_and_leaves_a_resumable_run(
    write_config: WriteConfig, tmp_path: Path, signum: int
) -> None:
    whole = load_config(write_config(epochs=2))
    cut = whole.model_copy(update={"output": tmp_path / "cut"})
    handler = signal.getsignal(signum)
    with pytest.raises(TrainingInterrupted) as caught:
        train(cut, on_step=signal_at(3, signum))
    assert caught.value.signum == signum
    assert signal.getsignal(signum) == handler
    assert len(losses(cut)) == 3
    train(cut, resume=True)
    train(whole)
    assert losses(cut) == losses(whole)


def test_the_report_tells_the_parts_whose_steps_are_in_the_weights(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=2))
    with pytest.raises(TrainingInterrupted):
        train(config, on_step=signal_at(3, signal.SIGINT))
    with pytest.raises(Killed):  # before anything is saved
        train(config.model_copy(update={"validate_every": 2}), resume=True, on_step=kill_at(5))
    result = train(config, resume=True)
    assert result.report is not None
    parts = [RunPart.model_validate(part) for part in result.report["parts"]]
    assert [part.step for part in parts] == [0, 3]
    assert parts[0].minutes == 0 < parts[1].minutes < result.report["wall_time_minutes"]
    assert {part.threads for part in parts} == {torch.get_num_threads()}
    assert {part.hardware for part in parts} == {result.report["hardware"]}
    again = train(config, resume=True).report  # takes no step
    assert again is not None
    assert again["parts"] == result.report["parts"]


def test_the_order_of_random_numbers_outside_does_not_matter(write_config: WriteConfig, tmp_path: Path) -> None:
    first = load_config(write_config(epochs=1))
    second = first.model_copy(update={"output": tmp_path / "second"})
    torch.manual_seed(1)
    train(first)
    torch.manual_seed(2)
    train(second)
    assert losses(first) == losses(second)
    third = first.model_copy(update={"output": tmp_path / "third", "seed": 1})
    train(third)
    assert losses(third) != losses(first)


def test_resuming_a_finished_run_only_repeats_the_report(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=1))
    train(config)
    before = losses(config)
    result = train(config, resume=True)
    assert losses(config) == before
    assert result.report is not None
    assert result.report["steps"] == 4


def test_an_existing_run_is_neither_overwritten_nor_continued_with_another_model(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=1))
    train(config)
    with pytest.raises(ConfigError, match="resume"):
        train(config)
    other = load_config(write_config(epochs=1), ["model.backbone.channels=16", "batch_size=2"])
    with pytest.raises(ConfigError, match=r"model.*batch_size"):
        train(other, resume=True)


def test_infinite_loss_names_step_and_frames(write_config: WriteConfig, tmp_path: Path) -> None:
    frames = read(tmp_path / "emt.extxyz", ":")
    for frame in frames:
        frame.calc.results["forces"][0, 0] = 3e38
    write(tmp_path / "emt.extxyz", frames)
    config = load_config(write_config(loss={"kind": "l2"}))
    with pytest.raises(TrainingError, match=r"step 1 .*emt\.extxyz, frame \d+"):
        train(config)
    assert not RunFolder(config.output).weights.exists()


def test_time_limit_stops_with_a_validated_resumable_run(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=50, max_minutes=1e-9, optimizer={"anneal_by": "time"}))
    result = train(config)
    assert [row["step"] for row in read_metrics(result.folder.metrics) if "val_loss" in row] == [1]
    assert result.folder.weights.exists()
    longer = config.model_copy(update={"max_minutes": 60.0})
    with pytest.raises(TrainingInterrupted):
        train(longer, resume=True, on_step=signal_at(3, signal.SIGINT))
    assert max(row["step"] for row in read_metrics(result.folder.metrics)) == 3


def test_max_steps_ends_inside_an_epoch_with_a_validation(write_config: WriteConfig) -> None:
    result = train(load_config(write_config(max_steps=6)))
    rows = read_metrics(result.folder.metrics)
    assert [row["step"] for row in rows if "val_loss" in row] == [4, 6]
    assert result.report is not None
    assert result.report["steps"] == 6


def test_direct_pretraining_then_conservative_fine_tuning(
    write_config: WriteConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    direct = load_config(write_config(epochs=2), ["model.forces=direct", f"output={tmp_path / 'direct'}"])
    train(direct)
    tuned = load_config(write_config(epochs=1, optimizer={"lr": 1e-9, "warmup_steps": 0}, reference_energies="keep"))
    initial = read_initial_weights(direct.output)
    with caplog.at_level(logging.WARNING, logger="mlff"):
        train(tuned, initial=initial)
    assert "force_head" in caplog.text
    before, _ = load_trained(direct.output)
    after, _ = load_trained(tuned.output)
    assert torch.equal(before.scale, after.scale)
    assert torch.equal(before.reference_energies, after.reference_energies)
    shared = dict(before.named_parameters())
    compared = [name for name, _ in after.named_parameters() if name in shared and shared[name].ndim > 1]
    assert compared
    for name, parameter in after.named_parameters():
        if name in compared and parameter.shape == shared[name].shape:
            torch.testing.assert_close(parameter, shared[name], rtol=0, atol=rounding(torch.float32, operations=100))


def test_initial_weights_for_other_species_are_refused(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=1))
    train(config)
    initial = read_initial_weights(config.output)
    other = load_config(write_config(output="other"), ["model.species=[Cu, Au, Ag]"])
    with pytest.raises(ConfigError, match="init_from: its weights know Cu, Au"):
        train(other, initial=initial)


@pytest.mark.parametrize("listed", ["auto", "[Au, Cu, Ag, H]"])
def test_the_model_knows_the_species_of_the_training_part(
    write_config: WriteConfig, listed: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config(write_config(epochs=1), [f"model.species={listed}"])
    train(config)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text for text in warned if "species" in text] == (
        [] if listed == "auto" else ["model.species: no training frame holds H, Ag; left out of the model"]
    )
    assert load_config(config.output / "config.yaml").model.species == (29, 79)
    assert load_trained(config.output)[0].config.species == (29, 79)
    train(config, resume=True)
    with pytest.raises(ConfigError, match="changed: model"):
        train(load_config(config.output / "config.yaml", ["model.species=[Cu]"]), resume=True)
    # Weights to start from decide, whatever the new data hold.
    again = config.model_copy(update={"output": config.output.with_name("again"), "init_from": config.output})
    if listed == "auto":
        train(again)
        assert load_config(again.output / "config.yaml").model.species == (29, 79)


def test_auto_needs_training_frames_of_every_species(write_config: WriteConfig, tmp_path: Path) -> None:
    copper = [Atoms("Cu2", [[0, 0, 0], [0, 0, 2 + 0.1 * i]]) for i in range(4)]
    gold = Atoms("CuAu", [[0, 0, 0], [0, 0, 2.2]])
    for name, frames in (("train", copper), ("val", [gold])):
        for atoms in frames:
            atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((2, 3)))
        write(tmp_path / f"{name}.extxyz", frames)
    config = load_config(write_config(data={"train": "train.extxyz", "val": "val.extxyz"}), ["model.species=auto"])
    with pytest.raises(ConfigError, match="the data hold Au, the model knows only Cu"):
        train(config)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.species=[Cu]", "model.species: the data hold Au, the model knows only Cu"),
        ("loss.stress_weight=1", "loss.weights.stress: name the label"),
        ("data.split={kind: random, train: 10, val: 0, test: 2}", "validation"),
    ],
)
def test_configurations_that_do_not_fit_the_data(write_config: WriteConfig, override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        train(load_config(write_config(), [override]))


def test_parameters_in_float64_and_tables_untouched(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=1, dtype="float64"))
    train(config)
    potential, _ = load_trained(config.output)
    assert {parameter.dtype for parameter in potential.parameters()} == {torch.float64}
    assert potential.reference_energies.dtype == torch.float64
