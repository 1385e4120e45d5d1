"""The examples run, and their structures lie where their models were trained."""

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
from support.toy_potential import export_toy

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


@pytest.fixture(scope="module")
def organic_path(tmp_path_factory):
    """H, C, N, O."""
    return export_toy(tmp_path_factory.mktemp("organic") / "toy.pt", species=(1, 6, 7, 8))


def test_alanine_dipeptide(organic_path, tmp_path):
    pytest.importorskip("openmm")
    result = run("alanine_dipeptide.py", "--model", organic_path, "--steps", 40, "-o", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "out"
    assert len((folder / "state.csv").read_text().splitlines()) == 3
    assert (folder / "ramachandran.png").stat().st_size > 10_000
    assert (folder / "trajectory.dcd").stat().st_size > 22 * 12 * 2
    result = run("alanine_dipeptide.py", "--model", organic_path, "--steps", 60, "-o", "out", "--resume", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len((folder / "state.csv").read_text().splitlines()) == 4


def test_peptide_in_water(organic_path, tmp_path):
    pytest.importorskip("openmmml")
    result = run("peptide_in_water.py", "--model", organic_path, "--steps", 20, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "22 atoms of the model among" in result.stdout
    folder = tmp_path / "peptide_in_water"
    assert len((folder / "state.csv").read_text().splitlines()) == 21
    atoms = read(folder / "topology.pdb")
    assert (folder / "trajectory.dcd").stat().st_size > 20 * 12 * len(atoms)


def test_minimize_cln025(organic_path, tmp_path):
    pytest.importorskip("openmm")
    result = run("minimize_cln025.py", "--model", organic_path, "--iterations", 3, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("largest force") == 2
    assert len(read(tmp_path / "cln025_minimized.pdb")) == 166


def test_cln025_is_an_intact_protein():
    """YYDPETGTWY with all hydrogens, zwitterion: its bonds have chemical lengths."""
    app = pytest.importorskip("openmm.app")
    pdb = app.PDBFile(str(EXAMPLES / "cln025.pdb"))
    residues = [residue.name for residue in pdb.topology.residues()]
    assert residues == ["TYR", "TYR", "ASP", "PRO", "GLU", "THR", "GLY", "THR", "TRP", "TYR"]
    atoms = read(EXAMPLES / "cln025.pdb")
    assert atoms.get_chemical_formula() == "C62H73N11O20"
    bonds = np.array([(bond[0].index, bond[1].index) for bond in pdb.topology.bonds()])
    lengths = np.linalg.norm(atoms.positions[bonds[:, 0]] - atoms.positions[bonds[:, 1]], axis=1)
    assert len(bonds) == 171
    assert ((lengths > 0.9) & (lengths < 1.7)).all()
    text = (EXAMPLES / "cln025.pdb").read_text()
    assert "5AWL" in text
    assert "REMARK" in text
