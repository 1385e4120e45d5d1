"""The relaxation examples run, and their structures lie where their models were trained."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from toy_potential import export_toy

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def builders():
    return runpy.run_path(str(EXAMPLES / "relax_adsorbate.py"))["SYSTEMS"]


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an example from ``cwd``, a folder outside the repository."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def test_formate_structure(builders):
    atoms = builders["formate-cu110"]()
    assert atoms.get_chemical_formula() == "CHCu48O2"
    np.testing.assert_allclose(atoms.cell.lengths(), [10.638, 10.03, 30.0], atol=2e-3)
    distances = atoms.get_all_distances(mic=True)
    symbols = atoms.symbols
    carbon, oxygens = symbols.search("C")[0], symbols.search("O")
    assert ((distances[carbon, oxygens] > 1.1) & (distances[carbon, oxygens] < 1.5)).all()
    # Each oxygen is bound to a copper atom of its own.
    nearest = distances[np.ix_(oxygens, symbols.search("Cu"))]
    assert ((nearest.min(axis=1) > 1.7) & (nearest.min(axis=1) < 2.2)).all()
    assert len(set(nearest.argmin(axis=1))) == 2
    assert len(atoms.constraints[0].index) == 24


def test_co2_structure(builders):
    atoms = builders["co2-ni100"]()
    assert atoms.get_chemical_formula() == "CNi36O2"
    np.testing.assert_allclose(atoms.cell.lengths(), [7.5203, 7.5203, 20.3176], atol=1e-6)
    first, second, carbon = atoms.symbols.search("O").tolist() + atoms.symbols.search("C").tolist()
    assert 105 < atoms.get_angle(first, carbon, second) < 150
    nickel = atoms.get_distances(carbon, atoms.symbols.search("Ni"), mic=True)
    assert 1.8 < nickel.min() < 2.4
    assert len(atoms.constraints[0].index) == 18


@pytest.mark.parametrize("name", ["formate-cu110", "co2-ni100"])
def test_start_structures_are_rattled_and_reproducible(builders, name):
    one, same, other = builders[name](), builders[name](), builders[name](seed=1)
    np.testing.assert_array_equal(one.positions, same.positions)
    moved = np.abs(one.positions - other.positions).max(axis=1) > 0
    fixed = np.isin(np.arange(len(one)), one.constraints[0].index)
    np.testing.assert_array_equal(moved, ~fixed)


def test_demo_writes_its_files(model_path, tmp_path):
    result = run("demo.py", "--model", model_path, "--steps", 2, cwd=tmp_path)
    assert result.returncode == 3, result.stderr  # two steps do not converge
    folder = tmp_path / "demo" / "formate"
    assert len(read(folder / "trajectory.traj", ":")) == 3
    assert len(read(folder / "relaxed.extxyz")) == 52
    assert (folder / "relax.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "demo" / "summary.json").read_text())["structures"][0]["steps"] == 2
    assert "energy (eV)" in result.stdout


def test_relax_adsorbate_runs_for_nickel(tmp_path):
    path = export_toy(tmp_path / "toy.pt", species=(6, 8, 28))
    result = run("relax_adsorbate.py", "co2-ni100", "--model", path, "--output", "out", "--steps", 1, cwd=tmp_path)
    assert result.returncode == 3, result.stderr
    assert len(read(tmp_path / "out" / "co2-ni100" / "relaxed.extxyz")) == 39


def test_calculator_example(tmp_path):
    if not (EXAMPLES.parent / "checkpoints" / "co2-ni100" / "model.pt").exists():
        pytest.skip("this checkout has no checkpoints/co2-ni100")
    result = run("calculator.py", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "largest force" in result.stdout
