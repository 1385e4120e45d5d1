"""``md-drivers simulate``: files, messages, exit status."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from md_drivers.cli import app
from md_drivers.common.trajectory_files import read_table
from md_drivers.openmm.simulation.progress import SimulationReporter
from md_drivers.openmm.simulation.results import Progress, Sample
from mlff.potential.artifact import LoadedModel


def run(*arguments: object):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


@pytest.fixture
def base(dipeptide_file, toy_path, tmp_path) -> list[object]:
    return [
        dipeptide_file, "--model", toy_path, "--output", tmp_path / "out", "--no-minimize", "--time-step", 0.25,
        "--report-interval", 10,
    ]  # fmt: skip


def test_done_and_resumed(base, tmp_path):
    result = run(*base, "--steps", 20, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert re.search(r"20 steps, 0\.005 ps, mean temperature \d+\.\d K, .* ns/day; results in", result.output)
    assert len(re.findall(r"^ +\d+ +0\.00\d+ +-?\d+\.\d{6} ", result.output, flags=re.MULTILINE)) == 2
    result = run(*base, "--steps", 30)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    result = run(*base, "--steps", 30, "--resume")
    assert result.exit_code == 2
    assert "seed was 3, now 0" in result.stderr
    result = run(*base, "--steps", 30, "--seed", 3, "--resume")
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(read_table(tmp_path / "out" / "state.csv")["step"], [10, 20, 30])


def test_all_settings_arrive(oxygen_file, toy_path, tmp_path):
    options = [
        "--ensemble", "npt", "--temperature", "200", "--time-step", "0.4", "--friction", "2", "--pressure", "3",
        "--report-interval", "2", "--format", "xtc", "--seed", "5", "--dtype", "float32", "--platform", "cpu",
        "--device", "cpu", "--periodic", "--nonbonded-cutoff", "8", "--checkpoint-interval", "2", "--no-minimize",
        "--force-field", "a.xml", "--force-field", "b.xml",
    ]  # fmt: skip
    result = run(oxygen_file, "-m", toy_path, "--steps", 4, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "simulation.json").read_text())
    expected = {
        "ensemble": "npt", "temperature": 200.0, "time_step": 0.4, "friction": 2.0, "pressure": 3.0, "ml_atoms": None,
        "force_fields": ["a.xml", "b.xml"], "nonbonded_cutoff": 8.0, "interpolate": None, "periodic": True,
        "minimize": False, "report_interval": 2, "trajectory_format": "xtc", "seed": 5, "dtype": "float32",
    }  # fmt: skip
    assert {name: record["settings"][name] for name in expected} == expected
    assert record["platform"] == "CPU"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps"),
        (["--steps", "5", "--ensemble", "nph"], "unknown ensemble `nph`: choose from nve, nvt, npt; did"),
        (["--steps", "5", "--ensemble", "npt"], "needs a box"),
        (["--steps", "5", "--format", "trr"], "`trr`: choose from dcd, xtc"),
        (["--steps", "5", "--platform", "Abacus"], "unknown platform `Abacus`: choose from "),
        (["--steps", "5", "--model", "no-such-model"], "no-such-model"),
        ([], "--steps"),
    ],
)
def test_wrong_use(base, tmp_path, options, message):
    result = run(*base, *options)
    assert result.exit_code == 2
    assert message in " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╰─╮╯]", "", result.stderr).split())
    assert not (tmp_path / "out").exists()


def test_a_failed_simulation(base, tmp_path, monkeypatch):
    evaluate = LoadedModel.evaluate

    def broken(self, graph, **options):
        return {name: value * np.nan for name, value in evaluate(self, graph, **options).items()}

    monkeypatch.setattr(LoadedModel, "evaluate", broken)
    result = run(*base, "--steps", 20)
    assert result.exit_code == 1
    assert "the model gave forces that are not finite" in result.stderr
    assert (tmp_path / "out" / "failure.extxyz").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_real_command_is_stopped_and_resumed(base, tmp_path, number, status):
    script = shutil.which("md-drivers", path=str(Path(sys.executable).parent)) or shutil.which("md-drivers")
    assert script is not None, "the project is not installed: no md-drivers beside this Python"
    command = [script, "simulate", *map(str, base), "--steps"]
    with subprocess.Popen(
        [*command, "200"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.match(r" +20 ", line):
                process.send_signal(number)
                break
        _, error = process.communicate(timeout=600)
    assert process.returncode == status, error
    again = re.search(r"stopped after \d+ of 200 steps; continue with: (.*)", error)
    assert again is not None, error
    assert json.loads((tmp_path / "out" / "simulation.json").read_text())["status"] == "stopped"
    words = shlex.split(again[1])
    assert words[0] == "md-drivers"
    finished = subprocess.run([script, *words[1:]], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert finished.returncode == 0, finished.stderr
    np.testing.assert_array_equal(read_table(tmp_path / "out" / "state.csv")["step"], range(10, 201, 10))
    whole = run(*base, "--steps", 200, "-o", tmp_path / "whole")
    assert whole.exit_code == 0
    assert (tmp_path / "out" / "state.csv").read_text() == (tmp_path / "whole" / "state.csv").read_text()


def test_help_shows_examples_and_exit_status():
    result = run("--help")
    assert result.exit_code == 0
    text = " ".join(re.sub(r"[│╭╰─╮╯]", " ", result.output).split())
    for expected in ("Examples", "--ml-atoms protein", "Exit status", "--resume", "ramachandran.png"):
        assert expected in text


def test_lines_are_few_and_the_bar_shows_the_speed():
    text = io.StringIO()
    sample = Sample(0, 0.0, -1.0, 0.5, 300.0, None, None, np.zeros((1, 3)), None)
    with SimulationReporter(steps=1000, console=Console(file=text, force_terminal=True, width=120)) as reporter:
        for step in range(1, 1001):
            reporter(Progress(step, 1000, 12.5, sample if step % 2 == 0 else None))
        reporter._bar.refresh()
    assert "12.5 ns/day" in text.getvalue()
    assert "step 1000 of 1000" in text.getvalue()
    assert 20 <= text.getvalue().count("-0.500000") <= 22
