"""``equijump rollout`` and ``equijump export``: messages and exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import yaml
from safetensors.torch import save_file
from support.toy_jump import toy_jump
from typer.testing import CliRunner

import md_drivers.jumps.course as course
import mlff
from md_drivers.jumps.cli import app
from mlff.equijump.artifact import LoadedJump
from mlff.training.checkpointing import load_weights, save_weights


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", ["rollout", "export"])
def test_help_has_examples_and_exit_status(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Examples" in result.stdout
    assert "Exit status" in result.stdout


def test_rollout_and_resume(dipeptide, jump_path, tmp_path):
    out = tmp_path / "out"
    base = ["rollout", dipeptide, "--model", jump_path, "--lag", 10, "--replicas", 2, "--device", "cpu", "-o", out]
    result = run(*base, "--steps", 3)
    assert result.exit_code == 0, result.output
    assert "6 frames of 10 ps" in result.stdout
    assert "% valid" in result.stdout
    result = run(*base, "--steps", 5)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    result = run(*base, "--steps", 5, "--resume")
    assert result.exit_code == 0, result.output
    assert mdtraj.load(str(out / "replica_001.xtc"), top=str(out / "topology.pdb")).n_frames == 5


def test_all_options_arrive(dipeptide, jump_path, tmp_path):
    options = ["--steps", 2, "--replicas", 3, "--seed", 5, "--latent-steps", 3, "--batch-size", 2, "--format", "dcd"]
    result = run(
        "rollout", dipeptide, "-m", jump_path, "--lag", 20, *options, "--dtype", "float32", "-o", tmp_path / "o"
    )
    assert result.exit_code == 0, result.output
    settings = json.loads((tmp_path / "o" / "rollout.json").read_text())["settings"]
    given = {"lag": 20.0, "replicas": 3, "seed": 5, "latent_steps": 3, "batch_size": 2, "trajectory_format": "dcd"}
    assert given | {"dtype": "float32"} == {name: settings[name] for name in (*given, "dtype")}


def test_wrong_input(dipeptide, jump_path, tmp_path):
    base = ["rollout", dipeptide, "--steps", 2, "-o", tmp_path / "out"]
    for options, message in (
        (["-m", jump_path, "--lag", 7], "not trained for a lag of 7 ps"),
        (["-m", "equijump-none", "--lag", 10], "unknown pretrained model `equijump-none`"),
        (["-m", jump_path, "--lag", 10, "--resume"], "no rollout to resume"),
    ):
        result = run(*base, *options)
        assert result.exit_code == 2
        assert f"error: {message}" in result.stderr or message in result.stderr
        assert "Traceback" not in result.output


def test_memory_that_runs_out_is_one_message(dipeptide, jump_path, tmp_path, monkeypatch):
    def no_memory(*arguments, **options):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(LoadedJump, "jump", no_memory)
    options = ["--lag", 10, "--steps", 4, "--replicas", 8, "-o", tmp_path / "out"]
    result = run("rollout", dipeptide, "-m", jump_path, *options)
    assert result.exit_code == 1
    assert "for 8 replica(s) at once: set --batch-size" in result.stderr
    assert "Traceback" not in result.output


def test_a_rollout_of_no_use_is_no_success(dipeptide, jump_path, tmp_path, monkeypatch):
    """As of a molecule that the model does not know: all frames are there, and most are no structures."""
    monkeypatch.setattr("md_drivers.jumps.results._LEAST_VALID", 1.1)
    result = run("rollout", dipeptide, "-m", jump_path, "--lag", 10, "--steps", 2, "-o", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert "of the frames are valid structures" in result.stderr
    assert (tmp_path / "out" / "replica_000.xtc").is_file()


def test_an_explosion_is_a_failure(dipeptide, stray_path, tmp_path):
    result = run("rollout", dipeptide, "-m", stray_path, "--lag", 10, "--steps", 40, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 replicas exploded: 0 (at jump" in result.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_between_jumps(dipeptide, jump_path, tmp_path, monkeypatch, number, status):
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")
    jump_once = course.Course._jump

    def interrupted(self):
        jump_once(self)
        if self.state.step == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(course.Course, "_jump", interrupted)
    monkeypatch.setattr("sys.argv", ["equijump", "rollout", "a.pdb"])
    out = tmp_path / "out"
    base = ["rollout", dipeptide, "-m", jump_path, "--lag", 10, "--steps", 4, "-o", out]
    result = run(*base)
    assert result.exit_code == status
    assert re.search("stopped after 2 of 4 jumps; continue with: .* rollout a.pdb --resume\n", result.stderr)
    assert run(*base, "--resume").exit_code == 0
    assert json.loads((out / "rollout.json").read_text())["frames"] == 4


@pytest.fixture
def run_folder(dipeptide, tmp_path) -> Path:
    """What a training leaves, with data of a few frames beside it."""
    start = mdtraj.load(str(dipeptide))
    heavy = start.atom_slice(start.topology.select("element != H"))
    data = tmp_path / "ala2"
    data.mkdir()
    heavy.save_pdb(str(data / "topology.pdb"))
    noise = np.random.default_rng(0).normal(scale=0.002, size=(20, *heavy.xyz.shape[1:]))
    mdtraj.Trajectory(heavy.xyz + noise, heavy.topology).save_dcd(str(data / "train.dcd"))
    record = {
        "name": "ala2",
        "topology": "topology.pdb",
        "frame_interval": 10.0,
        "trajectories": ["train.dcd"],
        "conditions": {"force_field": "amber14-all", "temperature": 300.0},
    }
    (data / "system.json").write_text(json.dumps(record))
    folder = tmp_path / "run"
    folder.mkdir()
    model = toy_jump([10.0])
    facts = {"jump": model.config.model_dump_json(), "lags": "[10.0]", "best": '{"val_loss": 0.5, "step": 3}'}
    facts["training_data"] = json.dumps([{"name": "ala2", "frames": 15}])  # five were added since
    save_weights(folder / "weights.safetensors", model, facts)
    config = {"data": {"folders": [str(data)], "lags": [10.0]}, "init_from": str(tmp_path / "first")}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_a_run_becomes_a_model(run_folder, dipeptide, tmp_path):
    model = tmp_path / "model.pt"
    result = run("export", run_folder, "-o", model, "--name", "equijump-toy", "--licence", "MIT")
    assert result.exit_code == 0, result.output
    loaded = mlff.load_jump(model)
    about = loaded.metadata
    assert (about.name, about.licence, about.lag_times) == ("equijump-toy", "MIT", (10.0,))
    assert (set(about.residues), about.sequences) == ({"ACE", "ALA", "NME"}, ("ACE-ALA-NME",))
    assert about.conditions == ({"force_field": "amber14-all", "temperature": 300.0},)
    assert about.geometry is not None
    assert about.geometry.bonds["ALA:CA-ALA:CB"] == pytest.approx(1.54, abs=0.03)
    assert (about.training_data[0].name, about.training_data[0].frames) == ("ala2", 15)  # of the run, not of now
    assert "the data have changed since the training" in result.stderr
    assert about.training_config is not None
    assert str(tmp_path) not in about.model_dump_json()
    assert about.extra == {"best_validation": {"val_loss": 0.5, "step": 3}}
    assert run("rollout", dipeptide, "-m", model, "--lag", 10, "--steps", 1, "-o", tmp_path / "out").exit_code == 0


def test_the_sampler_is_chosen_at_the_export(run_folder, tmp_path):
    plain, changed = tmp_path / "plain.pt", tmp_path / "changed.pt"
    assert run("export", run_folder, "-o", plain).exit_code == 0
    options = ["--latent-steps", 7, "--exponential", "--churn", 0.2, "--early", 0.3]
    result = run("export", run_folder, "-o", changed, *options)
    assert result.exit_code == 0, result.output
    models = [mlff.load_jump(path) for path in (plain, changed)]
    assert models[1].metadata.steps == 7
    sampler = models[1].metadata.architecture["transport"]
    assert (sampler["exponential"], sampler["churn"], sampler["early"]) == (True, 0.2, 0.3)
    # churn draws noise in the six correctors of seven steps, too
    assert [model.num_noises(7) for model in models] == [7, 13]


def test_a_sampler_of_another_transport(run_folder, tmp_path):
    model = toy_jump([10.0])
    config = json.loads(model.config.model_dump_json()) | {"transport": {"kind": "endpoint"}}
    tensors, facts = load_weights(run_folder / "weights.safetensors")
    save_file(tensors, run_folder / "weights.safetensors", metadata=facts | {"jump": json.dumps(config)})
    result = run("export", run_folder, "-o", tmp_path / "model.pt", "--along-drift", "--churn", 0.1)
    assert result.exit_code == 2
    assert "the model cannot be sampled like this: transport.endpoint: unknown field `exponential`" in result.stderr


def test_a_sampler_that_cannot_be(run_folder, tmp_path):
    result = run("export", run_folder, "-o", tmp_path / "model.pt", "--churn", 1.5)
    assert result.exit_code == 2
    assert (
        "the model cannot be sampled like this: transport.follmer.churn: Input should be less than 1" in result.stderr
    )
    assert not (tmp_path / "model.pt").exists()


def test_a_run_whose_data_are_gone(run_folder, tmp_path):
    (tmp_path / "ala2").rename(tmp_path / "elsewhere")
    result = run("export", run_folder, "-o", tmp_path / "model.pt")
    assert result.exit_code == 0, result.output
    assert "see --data" in result.stderr
    about = mlff.load_jump(tmp_path / "model.pt").metadata
    assert (about.geometry, about.training_data[0].frames) == (None, 15)
    result = run("export", run_folder, "-o", tmp_path / "model.pt", "--data", tmp_path / "elsewhere")
    assert result.exit_code == 0, result.output
    assert mlff.load_jump(tmp_path / "model.pt").metadata.geometry is not None


def test_weights_that_do_not_say_how_many_frames(run_folder, tmp_path):
    """As an older version wrote them: the number of now would be a guess."""
    tensors, facts = load_weights(run_folder / "weights.safetensors")
    del facts["training_data"]
    save_file(tensors, run_folder / "weights.safetensors", metadata=facts)
    assert run("export", run_folder, "-o", tmp_path / "model.pt").exit_code == 0
    (about,) = mlff.load_jump(tmp_path / "model.pt").metadata.training_data
    assert (about.name, about.frames, about.sha256) == ("ala2", None, None)


def test_no_run(tmp_path):
    result = run("export", tmp_path, "-o", tmp_path / "model.pt")
    assert result.exit_code == 2
    assert "weights.safetensors" in result.stderr
    assert not (tmp_path / "model.pt").exists()
