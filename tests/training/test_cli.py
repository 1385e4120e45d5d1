from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ase.io import read, write
from typer.testing import CliRunner

from mlff.cli import app
from mlff.training import load_config, train

WriteConfig = Callable[..., Path]
runner = CliRunner()


def invoke(*arguments: object) -> Any:
    return runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def run_folder(write_config: WriteConfig, tmp_path: Path) -> Path:
    assert invoke("train", write_config(epochs=1), "-o", tmp_path / "run").exit_code == 0
    return tmp_path / "run"


@pytest.mark.parametrize("command", ["train", "evaluate", "export", "inspect"])
def test_help_shows_examples_and_exit_status(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    assert "Examples" in text
    assert f"mlff {command}" in text
    assert "Exit status" in text


def test_help_does_not_import_the_heavy_libraries() -> None:
    code = "import sys; import mlff.cli; print([m for m in ('torch', 'lightning', 'ase') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_train_reports_errors_on_the_test_frames(write_config: WriteConfig) -> None:
    result = invoke("train", write_config(epochs=1), "--set", "optimizer.lr=1e-3")
    assert result.exit_code == 0
    assert "MAE" in result.stderr


@pytest.mark.parametrize("override", ["optimizer.lr=-1", "data.paths=absent.extxyz", "init_from=absent"])
def test_wrong_input_gives_exit_code_2_and_one_message(write_config: WriteConfig, override: str) -> None:
    result = invoke("train", write_config(), "--set", override)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert override.partition("=")[0].rpartition(".")[2] in result.stderr or "absent" in result.stderr


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("output=emt.extxyz", "is a file"),
        ("output=emt.extxyz/run", "is a file"),
        ("accelerator=abacus", "accelerator abacus"),
        ("accelerator=tpu", "accelerator tpu"),
        ("devices=0", "devices"),
        ("model.backbone.cutoff=0.5", "cutoff"),
        ("model.backbone.max_num_elements=50", "max_num_elements"),
    ],
)
def test_what_cannot_be_trained_gives_one_message(write_config: WriteConfig, override: str, named: str) -> None:
    result = invoke("train", write_config(), "--set", override)
    assert result.exit_code == 2
    assert result.stderr.count("error:") == 1
    assert named in result.stderr


def test_a_disk_that_fails_gives_exit_code_2(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "run/checkpoints/last.pt")

    monkeypatch.setattr("mlff.training.callbacks.save_state", full)
    result = invoke("train", write_config(epochs=1))
    assert result.exit_code == 2
    assert "error: run/checkpoints/last.pt: No space left on device" in result.stderr


def test_threads_are_set_by_the_command_only(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    config = write_config(epochs=1, threads=3)
    train(load_config(config, ["output=library"]))
    assert asked == []
    assert invoke("train", config).exit_code == 0
    assert asked == [3]


def test_starting_from_a_shipped_name(
    run_folder: Path, write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "copper-gold").mkdir(parents=True)
    assert invoke("export", run_folder, "-o", checkpoints / "copper-gold" / "model.pt").exit_code == 0
    monkeypatch.setattr("mlff.artifacts.names.checkpoint_folders", lambda: [checkpoints])
    result = invoke("train", write_config(epochs=1, output="tuned", init_from="copper-gold"))
    assert result.exit_code == 0
    assert load_config(tmp_path / "tuned" / "config.yaml").init_from == checkpoints / "copper-gold"
    result = invoke("train", write_config(epochs=1, output="other"), "--set", "init_from=copper-silver")
    assert result.exit_code == 2
    assert "copper-gold" in result.stderr


def test_existing_run_and_missing_config(run_folder: Path, write_config: WriteConfig, tmp_path: Path) -> None:
    assert invoke("train", write_config(epochs=1), "-o", run_folder).exit_code == 2
    assert invoke("train", run_folder).exit_code == 2
    assert invoke("train", tmp_path / "absent.yaml").exit_code == 2


def test_infinite_loss_gives_exit_code_1(write_config: WriteConfig, tmp_path: Path) -> None:
    frames = read(tmp_path / "emt.extxyz", ":")
    for frame in frames:
        frame.calc.results["forces"][0, 0] = 3e38
    write(tmp_path / "emt.extxyz", frames)
    result = invoke("train", write_config(loss={"kind": "l2"}))
    assert result.exit_code == 1
    assert "frame" in result.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_and_resume_by_folder_completes(
    write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    @contextmanager
    def signalling(describe: object) -> Iterator[Callable[..., None]]:
        logging.getLogger("lightning.pytorch").setLevel(logging.INFO)  # as its import does
        yield lambda step, total, metrics: os.kill(os.getpid(), number) if step == 2 else None

    with monkeypatch.context() as patch:
        patch.setattr("mlff.commands.progress.training_progress", signalling)
        patch.setattr("sys.argv", ["/usr/bin/mlff", "train", "my config.yaml", "--set", "seed=1", "--set", "seed=1"])
        result = invoke("train", write_config(epochs=1), "-o", tmp_path / "run")
    assert result.exit_code == status
    assert re.search("; continue with: .* train 'my config.yaml' --set seed=1 --set seed=1 --resume\n", result.stderr)
    assert "Received" not in result.stderr
    # The folder may have been moved meanwhile.
    (tmp_path / "run").rename(tmp_path / "moved")
    assert invoke("train", "--resume", tmp_path / "moved").exit_code == 0
    assert json.loads((tmp_path / "moved" / "report" / "metrics.json").read_text())["steps"] == 4


def test_export_inspect_evaluate_and_fine_tune(run_folder: Path, write_config: WriteConfig, tmp_path: Path) -> None:
    model, data = tmp_path / "model.pt", tmp_path / "emt.extxyz"
    assert invoke("export", run_folder, "-o", model, "--licence", "MIT").exit_code == 0

    shown = invoke("inspect", model, "--json")
    assert shown.exit_code == 0
    content = json.loads(shown.stdout)
    assert content["self_test"]["passed"]
    assert content["metadata"]["licence"] == "MIT"
    assert content["metadata"]["training_data"][0]["name"] == "emt.extxyz"
    assert content["metadata"]["training_data"][0]["frames"] == 16
    assert str(tmp_path) not in json.dumps(content["metadata"])
    lines = {line.split("  ")[0]: line for line in invoke("inspect", model).stdout.splitlines()}
    assert "self-test" in lines
    assert lines["SHA-256"].endswith(f" {content['sha256']}")  # in one piece, to be copied
    assert lines["file"].endswith(f" {model}")

    for source in (model, run_folder, run_folder / "weights.safetensors"):
        output = tmp_path / f"evaluation-{source.name}"
        assert invoke("evaluate", source, data, "-o", output, "--stress-key", "stress").exit_code == 0
    from_file, from_run = (
        json.loads((tmp_path / f"evaluation-{name}" / "metrics.json").read_text()) for name in ("model.pt", "run")
    )
    assert from_file["errors"] == pytest.approx(from_run["errors"], rel=1e-4)

    result = invoke("train", write_config(epochs=1, output="tuned"), "--set", f"init_from={model}")
    assert result.exit_code == 0


def test_evaluate_refuses_wrong_input(run_folder: Path, tmp_path: Path) -> None:
    data, output = tmp_path / "emt.extxyz", tmp_path / "out"
    assert invoke("evaluate", "no-such-model", data, "-o", output).exit_code == 2
    assert invoke("evaluate", run_folder, tmp_path / "absent.xyz", "-o", output).exit_code == 2
    assert invoke("evaluate", run_folder, data, "-o", output, "--energy-key", "nothing").exit_code == 2
    assert invoke("evaluate", run_folder, data, "-o", output, "--energy-unit", "stone").exit_code == 2
    frames = read(data, ":")
    frames[1].numbers[0] = 47
    write(tmp_path / "silver.extxyz", frames)
    (tmp_path / "others.txt").write_text("0 2")
    refused = invoke("evaluate", run_folder, tmp_path / "silver.extxyz", "-o", output)
    assert refused.exit_code == 2
    assert re.search("frame 1: holds Ag, and .*run knows only .*; name the frames without it by", refused.stderr)
    advised = ("--indices", tmp_path / "others.txt", "-o", tmp_path / "advised")
    assert invoke("evaluate", run_folder, tmp_path / "silver.extxyz", *advised).exit_code == 0
    frames = read(data, ":")
    frames[2].set_initial_magnetic_moments([1.0, 0.0, 0.0, 0.0])
    write(tmp_path / "magnet.extxyz", frames)
    refused = invoke("evaluate", run_folder, tmp_path / "magnet.extxyz", "-o", output)
    assert refused.exit_code == 2
    assert re.search(r"frame 2: atoms\.arrays\['initial_magmoms'\] is not zero.*--ignore initial_mag", refused.stderr)
    refused = invoke("evaluate", run_folder, data, "-o", output, "--ignore", "moments")
    assert refused.exit_code == 2
    assert "ignore takes any of charge, spin" in refused.stderr
    advised = ("--ignore", "initial_magmoms", "-o", tmp_path / "ignored")
    assert invoke("evaluate", run_folder, tmp_path / "magnet.extxyz", *advised).exit_code == 0
    for device in ("foo", "cuda:99"):
        refused = invoke("evaluate", run_folder, data, "-o", output, "--device", device)
        assert refused.exit_code == 2
        assert refused.stderr.count("error:") == 1
        assert device in refused.stderr
    assert not output.exists()


def test_inspect_and_export_refuse_other_files(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"not a model")
    assert invoke("inspect", tmp_path / "model.pt").exit_code == 2
    assert invoke("export", tmp_path / "model.pt", "-o", tmp_path / "out.pt").exit_code == 2
    assert invoke("export", tmp_path, "-o", tmp_path / "out.pt").exit_code == 2
    assert not (tmp_path / "out.pt").exists()
