"""Models that learn one quantity alone need no other labels, and give nothing that they have not learned."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

import mlff
from md_drivers import MLFFCalculator, relax
from md_drivers.common.models import open_potential
from mlff.cli import app
from mlff.graph import graph_from_atoms
from mlff.potential import Potential, PotentialConfig
from mlff.support.errors import InputError
from mlff.training import ConfigError, load_config

SIZES = {"num_layers": 1, "channels": 8, "message_channels": 8, "hidden_channels": 8, "ffn_channels": 8}


def water(seed: int) -> Atoms:
    """With the energy and forces of springs to the starting geometry, and a dipole of point charges."""
    start = molecule("H2O")
    atoms = start.copy()
    atoms.rattle(0.1, seed=seed)
    pull = start.positions - atoms.positions
    moment = np.array([-0.8, 0.4, 0.4]) @ atoms.positions
    atoms.calc = SinglePointCalculator(atoms, energy=0.5 * float((pull**2).sum()), forces=pull, dipole=moment)
    return atoms


def configuration(folder: Path, names: list[str]) -> Path:
    """Of a training on these quantities, whose labels alone are in the file."""
    frames = [water(seed) for seed in range(16)]
    for atoms in frames:
        atoms.calc.results = {name: atoms.calc.results[name] for name in names}
    ase.io.write(folder / "water.extxyz", frames)
    every = ("energy", "forces", "dipole")
    content = {
        "data": {"paths": ["water.extxyz"], "keys": {name: name if name in names else None for name in every}},
        "model": {"properties": ["dipole"] if "dipole" in names else [], "backbone": SIZES},
        "loss": {"weights": {name: float(name in names) for name in ("energy", "forces", *names)}},
        "accelerator": "cpu",
        "epochs": 2,
        "batch_size": 4,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder / "config.yaml"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def errors_of(folder: Path) -> set[str]:
    return set(json.loads((folder / "report" / "metrics.json").read_text())["errors"])


@pytest.mark.parametrize(("name", "reported"), [("energy", "energy_per_atom"), ("forces", "forces")])
def test_energies_or_forces_are_enough(name: str, reported: str, tmp_path: Path) -> None:
    run("train", configuration(tmp_path, [name]), "-o", tmp_path / "run")
    assert errors_of(tmp_path / "run") == {f"{reported}_mae", f"{reported}_rmse"}
    model = load_config(tmp_path / "run" / "config.yaml").model
    assert model.outputs == ("energy", "energies", "forces", "stress")


def test_a_model_of_dipoles_has_no_energy(tmp_path: Path) -> None:
    run("train", configuration(tmp_path, ["dipole"]), "-o", tmp_path / "run")
    assert errors_of(tmp_path / "run") == {"dipole_mae", "dipole_rmse"}
    run("train", tmp_path / "run", "--resume")
    file = tmp_path / "model.pt"
    run("export", tmp_path / "run", "-o", file)
    assert "dipole" in run("inspect", file)
    assert "dipole moment: MAE" in run(
        "evaluate", file, tmp_path / "water.extxyz", "--key", "dipole=dipole", "-o", tmp_path / "evaluation"
    )
    data = {"file": "water.extxyz", "title": "Water", "origin": "made", "licence": "CC0", "citation": "none"}
    notes = {"description": "Water", "licence": "MIT", "not_for": ["anything"], "data": [data]}
    (tmp_path / "notes.yaml").write_text(yaml.safe_dump(notes))
    run("publish", tmp_path / "run", "-o", tmp_path / "published", "--notes", tmp_path / "notes.yaml")
    card = (tmp_path / "published" / "MODEL_CARD.md").read_text()
    assert 'dipole = atoms.calc.get_property("dipole", atoms)  # e·Å' in card
    assert "potential_energy" not in card

    dipoles = mlff.load(file, dtype="float64")
    assert dipoles.metadata.outputs == ("dipole",)
    atoms = water(99)
    assert set(dipoles.evaluate(dipoles.graph(atoms))) == {"dipole"}
    atoms.calc = MLFFCalculator(dipoles)
    moment = atoms.get_dipole_moment()
    assert moment.shape == (3,)
    assert set(atoms.calc.results) == {"dipole"}
    for ask in (atoms.get_potential_energy, atoms.get_forces):
        with pytest.raises(PropertyNotImplementedError):
            ask()
    with pytest.raises(InputError, match=r"a relaxation needs energy and forces; .*model\.pt computes dipole only"):
        relax(water(1), dipoles, steps=1)
    with pytest.raises(InputError, match="a force needs energy and forces"):
        open_potential(dipoles, None, None)
    atoms.calc = MLFFCalculator("peptides", properties={"dipole": dipoles})
    assert atoms.get_dipole_moment() == pytest.approx(moment)
    assert np.isfinite(atoms.get_potential_energy())


@pytest.mark.parametrize("forces", ["conservative", "direct"])
def test_a_potential_without_energy_computes_no_forces(forces: str) -> None:
    config = PotentialConfig(species=("H", "O"), properties=("dipole",), energy=False, forces=forces, backbone=SIZES)
    potential = Potential(config)
    assert potential.force_head is None
    output = potential(*graph_from_atoms(molecule("H2O"), config.cutoff, dtype=torch.float32).inputs)
    assert "dipole" in output
    assert "forces" not in output


def test_contradictions_are_refused(tmp_path: Path) -> None:
    path = configuration(tmp_path, ["energy", "dipole"])
    with pytest.raises(ConfigError, match=r"model\.energy is false: set loss\.weights"):
        load_config(path, ["model.energy=false"])
    with pytest.raises(ConfigError, match=r"dens: .*data\.keys\.forces"):
        load_config(path, ["dens={}"])
    with pytest.raises(ConfigError, match="energy: false leaves no output"):
        load_config(path, ["model={energy: false}"])
