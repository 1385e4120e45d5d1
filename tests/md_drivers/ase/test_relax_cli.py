"""``md-drivers relax``: files, messages, exit status."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc110
from ase.constraints import FixAtoms
from ase.io import read, write
from rich.console import Console
from typer.testing import CliRunner

from md_drivers import RelaxResult, RelaxStep
from md_drivers.ase.progress import StepReporter
from md_drivers.ase.table import print_summary
from md_drivers.cli import app
from mlff.potential.artifact import LoadedModel


@pytest.fixture
def slab_file(tmp_path) -> Path:
    slab = fcc110("Cu", (2, 2, 4), a=3.6, vacuum=5.0)
    slab.rattle(0.08, seed=1)
    slab.set_constraint(FixAtoms(range(4)))
    path = tmp_path / "slab.traj"
    write(path, slab)
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, ["relax", *map(str, arguments)])


def installed_script() -> str:
    path = shutil.which("md-drivers", path=str(Path(sys.executable).parent)) or shutil.which("md-drivers")
    assert path is not None, "the project is not installed: no md-drivers beside this Python"
    return path


def test_converged(slab_file, model_path, tmp_path):
    output = tmp_path / "out"
    result = run(slab_file, "-m", model_path, "--fmax", 0.1, "--fix", "layers:2", "--fix", "index:15", "-o", output)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in output.iterdir()) == ["slab", "summary.csv", "summary.json"]
    relaxed, start = read(output / "slab" / "relaxed.extxyz"), read(slab_file)
    moved = np.abs(relaxed.positions - start.positions).max(axis=1) > 1e-6
    np.testing.assert_array_equal(np.flatnonzero(~moved), [*range(8), 15])
    steps = json.loads((output / "summary.json").read_text())["structures"][0]["steps"]
    assert len(re.findall(r"^slab +\d+ +-?\d+\.\d+ +\d+\.\d+$", result.output, flags=re.MULTILINE)) == steps + 1
    assert "yes" in result.output


def test_not_converged_then_resumed_by_the_former_option(slab_file, model_path, tmp_path):
    output = tmp_path / "out"
    arguments = (slab_file, "-m", model_path, "--fmax", 0.01, "--optimizer", "lbfgs", "--no-figure", "-o", output)
    result = run(*arguments, "--steps", 3)
    assert result.exit_code == 3
    assert "NO" in result.output
    assert "error: 1 of 1 structures did not converge: slab (" in result.stderr
    result = run(*arguments, "--restart")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("--restart is now --resume") == 1
    assert "goes on after step 3; the memory of the optimizer starts anew" in result.stderr
    record = json.loads((output / "summary.json").read_text())
    assert len(read(output / "slab" / "trajectory.traj", ":")) == 1 + record["structures"][0]["steps"]
    assert (record["settings"]["optimizer"], record["settings"]["fmax"]) == ("LBFGS", 0.01)
    assert not (output / "slab" / "relax.png").exists()


def test_several_files_and_one_that_does_not_converge(slab_file, model_path, tmp_path):
    crystal = bulk("Cu", a=3.6, cubic=True)
    write(tmp_path / "bulk.cif", crystal)
    result = run(f"{slab_file}@0", tmp_path / "bulk.cif", "-m", model_path, "--steps", 1, "-o", tmp_path / "out")
    assert result.exit_code == 3
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["structures"]
    assert [(row["name"], row["converged"]) for row in rows] == [("slab", False), ("bulk", True)]


def test_cell_options(model_path, tmp_path):
    crystal = bulk("Cu", a=3.5, cubic=True)
    write(tmp_path / "bulk.traj", crystal)
    result = run(
        tmp_path / "bulk.traj", "-m", model_path, "--cell", "frechet", "--cell-mask", "xx, yy", "-o", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    lengths = read(tmp_path / "out" / "bulk" / "relaxed.extxyz").cell.lengths()
    assert lengths[2] == pytest.approx(3.5, abs=1e-6)
    assert lengths[0] > 3.52


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{slab}", "-m", "no-such-model"], "no-such-model"),
        (["{folder}/missing.traj", "-m", "{model}"], "missing.traj: no such file or folder"),
        (["{folder}/empty.xyz", "-m", "{model}"], "is empty"),
        (["{slab}", "-m", "{model}", "--fix", "depth:3"], "cannot read selection 'depth:3'"),
        (["{slab}", "-m", "{model}", "--optimizer", "Newton"], "unknown optimizer `newton`: choose from fire, bfgs"),
        (["{slab}", "-m", "{model}", "--cell", "cubic"], "unknown cell `cubic`"),
        (["{slab}", "-m", "{model}", "--cell", "unit", "--cell-mask", "zx"], "unknown strain component `zx`"),
        (["{slab}", "-m", "{model}", "--dtype", "float16"], "unknown dtype `float16`: choose from float32, float64"),
        (["{slab}", "-m", "{model}", "--device", "abacus"], "'abacus' is no device"),
        (["{slab}", "-m", "{model}", "--skin", "-1"], "skin"),
        (["{slab}", "-m", "{model}", "--fmax", "0"], "fmax"),
        (["{nickel}", "-m", "{model}"], "Ni (1)"),
        (["{slab}"], "--model"),
        (["{slab}", "-m", "{model}", "--frobnicate"], "--frobnicate"),
    ],
)
def test_usage_errors(slab_file, model_path, tmp_path, arguments, message):
    (tmp_path / "empty.xyz").touch()
    write(tmp_path / "nickel.xyz", bulk("Ni"))
    places = {"slab": slab_file, "model": model_path, "folder": tmp_path, "nickel": tmp_path / "nickel.xyz"}
    output = tmp_path / "out"
    result = run(*(argument.format(**places) for argument in arguments), "-o", output)
    assert result.exit_code == 2
    said = " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╰─╮╯]", "", result.stderr).split())
    assert message.lower() in said.lower()  # versions of typer differ in how they show choices
    assert not output.exists()


def test_atoms_on_top_of_each_other_are_an_input_error(model_path, tmp_path):
    atoms = bulk("Cu", cubic=True)
    atoms.positions[1] = atoms.positions[0] + 0.001
    write(tmp_path / "clash.xyz", atoms)
    result = run(tmp_path / "clash.xyz", "-m", model_path, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "structure 'clash': atoms Cu0-Cu1 are 0.0017 A apart" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_collapsed_molecule_is_not_converged(model_path, tmp_path):
    write(tmp_path / "co.xyz", Atoms("CO", positions=[[0, 0, 0], [0, 0, 0.42]]))
    result = run(tmp_path / "co.xyz", "-m", model_path, "-o", tmp_path / "out", "--fix", "symbol:C,O", "--no-figure")
    assert result.exit_code == 3
    assert "structure 'co' starts with atoms too close for any bond" in result.stderr
    assert "structure 'co' ended with atoms too close for any bond" in result.stderr
    assert "NO" in result.stdout
    assert "co is not trustworthy, atoms are too close for any bond: C0-O1 0.420 A" in result.stdout
    (row,) = json.loads((tmp_path / "out" / "summary.json").read_text())["structures"]
    assert (row["converged"], row["close_contacts"]) == (False, ["C0-O1 0.420 A"])


def test_failed_calculation_does_not_stop_the_others(slab_file, model_path, tmp_path, monkeypatch):
    write(tmp_path / "pair.xyz", Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.3]]))
    evaluate = LoadedModel.evaluate

    def broken(self, graph, **options):
        outputs = evaluate(self, graph, **options)
        return {name: value * np.nan for name, value in outputs.items()} if len(graph.numbers) == 2 else outputs

    monkeypatch.setattr(LoadedModel, "evaluate", broken)
    output = tmp_path / "out"
    result = run(tmp_path / "pair.xyz", slab_file, "-m", model_path, "--fmax", 0.1, "-o", output, "--no-figure")
    assert result.exit_code == 1
    assert "structure 'pair': the model gave energy that are not finite" in result.stderr
    summary = json.loads((output / "summary.json").read_text())
    assert [(row["name"], row["converged"]) for row in summary["structures"]] == [("slab", True)]
    ((name, error),) = [(row["name"], row["error"]) for row in summary["failed"]]
    assert name == "pair"
    assert "not finite" in error
    assert (output / "summary.csv").read_text().count("\n") == 3
    assert len(read(output / "slab" / "relaxed.extxyz")) == 16
    assert re.search(r"slab +│ yes", result.stdout)


@pytest.mark.parametrize("width", [50, 60, 80, 120])
@pytest.mark.parametrize("enthalpy", [False, True])
def test_numbers_are_never_cut(width, enthalpy):
    result = RelaxResult(
        name="a-structure-with-a-long-name [draft]",
        converged=True,
        steps=123,
        energy=-638960.1234,
        fmax=0.0421,
        atoms=Atoms(),
        initial=Atoms(),
        energies=(-638900.0, -638960.1234),
        fmaxes=(1.0, 0.0421),
        seconds=1234.5,
        neighbor_rebuilds=1,
        enthalpies=(-638900.0, -638950.4321) if enthalpy else (),
    )
    text = io.StringIO()
    print_summary([result], Console(file=text, width=width))
    assert "-638960.1234" in text.getvalue()
    assert "…" not in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= width
    folded = "".join(line.split("│")[1].strip() for line in text.getvalue().splitlines() if line.startswith("│"))
    assert folded.replace(" ", "") == result.name.replace(" ", "")
    if width >= 80:
        assert enthalpy or "-60.1234" in text.getvalue()
        assert "0.0421" in text.getvalue()
    if width == 120:
        assert "1234.5" in text.getvalue()
        assert ("-638950.4321" in text.getvalue()) == enthalpy


def test_interrupt(slab_file, model_path, tmp_path, monkeypatch):
    class Interrupting(StepReporter):
        def __call__(self, step: RelaxStep) -> None:
            super().__call__(step)
            if step.step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr("md_drivers.ase.progress.StepReporter", Interrupting)
    monkeypatch.setattr("sys.argv", ["md-drivers", "relax", "slab.xyz"])
    result = run(slab_file, "-m", model_path, "--fmax", 1e-4, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert "stopped while relaxing 'slab'" in result.stderr
    assert re.search("; continue with: .* relax slab.xyz --resume\n", result.stderr)
    assert len(read(tmp_path / "out" / "slab" / "trajectory.traj", ":")) == 3


def test_help_shows_examples_and_exit_status():
    result = run("--help")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for expected in ("Examples", "--fix layers:2", "Exit status", "did not converge", "--resume"):
        assert expected in text
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


def test_installed_script_survives_ctrl_c(slab_file, model_path, tmp_path):
    """The real command in its own process: interrupted by SIGINT after the first steps, then continued to the end."""
    output = tmp_path / "out"
    # Forces of rounding size are never below fmax, so the first run does not end by itself.
    command = [installed_script(), "relax", str(slab_file), "-m", str(model_path), "-o", str(output), "--no-figure"]
    with subprocess.Popen(
        [*command, "--fmax", "1e-30", "--steps", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.match(r"slab +3 ", line):
                process.send_signal(signal.SIGINT)
                break
        _, error = process.communicate(timeout=600)
    assert process.returncode == 130, error
    assert "--resume" in error
    frames = len(read(output / "slab" / "trajectory.traj", ":"))
    assert frames >= 4
    finished = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 0, finished.stderr
    assert read(output / "slab" / "relaxed.extxyz").info["converged"]
