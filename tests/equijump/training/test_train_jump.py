"""Training of jump models: what is learned, exact resume, unrolling, files, wrong use."""

import csv
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

import mlff.cli
from md_drivers.jumps.cli import app
from mlff.equijump.training import JumpTrainingConfig
from mlff.equijump.training.lightning_module import denoised, jump_losses, with_input_noise
from mlff.equijump.training.trained import load_trained_jump
from mlff.training import TrainingInterrupted, train
from mlff.training.checkpointing import load_weights
from mlff.training.config import ConfigError, validate_config
from mlff.trajectories import fixed_pairs, load_dataset, make_batch

SMALL = {
    "network": {"channels": 8, "message_channels": 4, "layers": 1, "conditioner_layers": 1, "num_radial": 4},
    "steps": 4,
}


def configuration(springs: Path, output: Path, **changes) -> JumpTrainingConfig:
    content = {
        "data": {"folders": [str(springs)], "lags": [2.0, 4.0], "balance": None, "validation_pairs": 32},
        "model": SMALL,
        "batch_size": 16,
        "steps": 12,
        "validate_every": 6,
        "log_every": 4,
        "optimizer": {"lr": 5e-3, "warmup_steps": 5},
        "output": str(output),
    }
    return validate_config(JumpTrainingConfig, content | changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_weights(folder / "weights.safetensors")[0]


def test_a_known_process_is_learned(springs: Path, tmp_path: Path) -> None:
    """A model that says nothing has the mean square of the targets: 3 ∫ (4t² + t) dt = 5.5 in units of σ²."""
    changes = {"steps": 160, "validate_every": 20, "ema": 0.9, "unroll": None}
    config = configuration(springs, tmp_path / "run", **changes, optimizer={"lr": 2e-2, "warmup_steps": 5})
    report = train(config).report
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert report["best_validation"]["val_loss"] == min(losses)
    assert [(data["name"], data["frames"]) for data in report["training_data"]] == [("springs", 600)]
    assert load_trained_jump(tmp_path / "run")[1]["training_data"] == report["training_data"]
    assert losses[-1] < losses[0]
    assert losses[-1] < 0.5 * 5.5, losses


def test_noise_of_the_transport_is_the_displacement_of_the_data(springs: Path, tmp_path: Path) -> None:
    train(configuration(springs, tmp_path / "run", steps=1))
    model, _ = load_trained_jump(tmp_path / "run")
    # rms difference of a component in 4 ps: √2 · spread · √(1 - e^(-4/5)); vectors are differences of two atoms
    one = 2**0.5 * 0.04 * (1 - 2.718281828 ** (-4 / 5)) ** 0.5
    assert model.transport.sigma[0] == pytest.approx(one, rel=0.35)  # superposition takes six degrees of freedom
    assert model.transport.sigma[1] == pytest.approx(2**0.5 * one, rel=0.25)
    given = configuration(springs, tmp_path / "given", steps=1, noise="config")
    train(given)
    assert load_trained_jump(tmp_path / "given")[0].transport.sigma[0] == 0.5


@pytest.mark.parametrize("unroll", [None, {"probability": 0.5, "begin": 0.0}], ids=["plain", "unrolled"])
def test_a_stopped_run_ends_where_an_unstopped_one_does(springs: Path, tmp_path: Path, unroll) -> None:
    train(configuration(springs, tmp_path / "whole", unroll=unroll))

    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    config = configuration(springs, tmp_path / "parts", unroll=unroll)
    with pytest.raises(TrainingInterrupted):
        train(config, on_step=stop)
    train(config, resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    with (tmp_path / "parts" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    steps = [int(float(row["step"])) for row in rows]
    assert all(
        float(row["loss"]) == pytest.approx(0.5 * (float(row["loss_anchors"]) + float(row["loss_vectors"])))
        for row in rows
    )
    assert steps == sorted(set(steps))


def test_a_run_that_does_not_name_its_kind_goes_on_before_its_first_weights(springs: Path, tmp_path: Path) -> None:
    """As run folders of versions before there was `kind`."""

    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        train(configuration(springs, tmp_path / "run", steps=4, validate_every=4), on_step=stop)
    written = tmp_path / "run" / "config.yaml"
    written.write_text(written.read_text().replace("kind: jump\n", ""))
    assert "kind" not in yaml.safe_load(written.read_text())
    result = CliRunner().invoke(mlff.cli.app, ["train", "--resume", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert load_trained_jump(tmp_path / "run")[1]["best"]["step"] == 4


def test_a_run_does_not_go_on_with_other_trajectories(springs: Path, tmp_path: Path) -> None:
    data = shutil.copytree(springs.parent, tmp_path / "data") / springs.name

    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    config = configuration(data, tmp_path / "run")
    with pytest.raises(TrainingInterrupted):
        train(config, on_step=stop)
    shutil.copy(data.parent / "1.dcd", data.parent / "0.dcd")
    with pytest.raises(ConfigError, match="trajectories have changed"):
        train(config, resume=True)


def test_unrolled_sources_are_near_the_frames_they_replace(springs: Path, tmp_path: Path) -> None:
    """Late in the latent time little is left to guess, whatever the model."""
    train(configuration(springs, tmp_path / "run", steps=30))
    model, _ = load_trained_jump(tmp_path / "run")
    systems = load_dataset(springs)
    batch = make_batch(systems, fixed_pairs(systems, "val", [2.0], 32)[0])
    generator = torch.Generator().manual_seed(0)
    errors = []
    for time in (0.5, 0.9, 0.999):
        made = denoised(model, batch, torch.full_like(batch.lag, time), generator)
        errors.append(float((made - batch.target.coordinates).square().mean().sqrt().detach()))
        assert (made[~batch.source.atom_mask.unsqueeze(-2).expand_as(made)] == 0).all()
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_input_noise_is_on_half_of_the_sources_and_keeps_the_centre(springs: Path, tmp_path: Path) -> None:
    train(configuration(springs, tmp_path / "run", steps=1))
    model, _ = load_trained_jump(tmp_path / "run")
    systems = load_dataset(springs)
    source = make_batch(systems, fixed_pairs(systems, "train", [2.0], 200)[0]).source
    noisy = with_input_noise(model, source, 0.1, torch.Generator().manual_seed(0))
    moved = (noisy.coordinates - source.coordinates).flatten(1)
    touched = moved.abs().sum(1) > 0
    assert 0.4 < touched.double().mean() < 0.6
    atoms = (noisy.coordinates - source.coordinates)[touched][..., 1:]
    assert atoms[source.atom_mask[touched][..., 1:].unsqueeze(-2).expand_as(atoms)].std() == pytest.approx(0.1, rel=0.1)
    assert noisy.center().abs().max() < 1e-5


def test_the_loss_is_that_of_the_noise_where_the_model_says_nothing(springs: Path, tmp_path: Path) -> None:
    train(configuration(springs, tmp_path / "run", steps=1))
    model, _ = load_trained_jump(tmp_path / "run")
    for parameter in (model.network.header.output.weight, *model.network.header.skip.parameters()):
        torch.nn.init.zeros_(parameter)
    systems = load_dataset(springs)
    batch = make_batch(systems, fixed_pairs(systems, "train", [4.0], 400)[0])
    time = torch.full_like(batch.lag, 1e-6)
    losses = jump_losses(model, batch, torch.Generator().manual_seed(0), time)
    assert losses.abs().max() < 1e-4  # at t = 0 the drift of a Föllmer process is 0
    # at t = 1 it is 2 (x1 - x0) - σ z, in units of σ = rms(x1 - x0): 3 rows of variance 4 + 1
    time = torch.ones_like(batch.lag)
    losses = jump_losses(model, batch, torch.Generator().manual_seed(0), time)
    assert float(losses[0, 1].detach()) == pytest.approx(15.0, rel=0.15)


def test_a_run_can_start_from_the_weights_of_another(springs: Path, tmp_path: Path) -> None:
    train(configuration(springs, tmp_path / "first", steps=40, ema=0.0))
    start, tuned = (
        weights(tmp_path / "first"),
        configuration(springs, tmp_path / "second", steps=1, init_from=str(tmp_path / "first"), optimizer={"lr": 1e-9}),
    )
    train(tuned)
    end = weights(tmp_path / "second")
    assert all(torch.allclose(start[name], end[name], atol=1e-6) for name in start)


def test_files_of_a_run_and_of_the_command(springs: Path, tmp_path: Path) -> None:
    content = configuration(springs, Path("run"), steps=3, validate_every=3).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "config.yaml")])
    assert result.exit_code == 0, result.output
    run = tmp_path / "run"
    for name in ("config.yaml", "metrics.csv", "weights.safetensors", "checkpoints/last.pt", "report/metrics.json"):
        assert (run / name).exists(), name
    assert (run / "report" / "learning_curve.png").stat().st_size > 10_000
    again = CliRunner().invoke(app, ["train", str(tmp_path / "config.yaml")])
    assert again.exit_code == 2
    assert "resume" in again.output
    longer = CliRunner().invoke(app, ["train", "--resume", str(run), "--set", "steps=5"])
    assert longer.exit_code == 2
    assert "steps" in longer.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"data": {"folders": ["x"], "lags": []}}, "lags"),
        ({"data": {"folders": ["x"], "lags": [1.0, -2.0]}}, "positive"),
        ({"unroll": {"time_range": [0.9, 0.5]}}, "in order"),
        ({"model": {"network": {"channel": 3}}}, "model.network: unknown field `channel`, did you mean `channels`"),
        ({"optimizer": {"anneal_by": "time"}}, "max_minutes"),
        ({"lr": 1.0}, "lr"),
    ],
)
def test_bad_settings_are_named(changes, message: str, springs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        configuration(springs, tmp_path, **changes)


def test_data_without_validation_or_with_another_interval(springs: Path, tmp_path: Path) -> None:
    data = {"folders": [str(springs)], "lags": [2.5], "balance": None}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "config.yaml")])
    assert result.exit_code == 2
    assert "2.5 ps is no whole number" in result.output
    record = yaml.safe_load(springs.read_text())
    record["trajectories"] = record["trajectories"][:2]
    record |= {"topology": str(springs.parent / "topology.pdb")}
    for entry in record["trajectories"]:
        entry["file"] = str(springs.parent / entry["file"])
    (tmp_path / "train_only.yaml").write_text(yaml.safe_dump(record))
    data = {"folders": ["train_only.yaml"], "lags": [2.0], "balance": None}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "config.yaml")])
    assert result.exit_code == 2
    assert "nothing to validate with" in result.output
    assert not (tmp_path / "run" / "weights.safetensors").exists()
