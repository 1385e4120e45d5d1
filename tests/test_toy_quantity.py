"""A quantity defined here by one row, through the commands of the package and the ASE calculator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

import mlff
from md_drivers import MLFFCalculator
from mlff.cli import app
from mlff.graph import AtomicGraph, Quantity, graph_from_atoms, quantities
from mlff.potential import Potential, PotentialConfig

QUADRUPOLE = Quantity("quadrupole", "structure", "2e", "e·Å²", extensive=True)
CHARGES = {1: 0.4, 8: -0.8}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    rows = dict(quantities.QUANTITIES)
    quantities.register(QUADRUPOLE)
    yield
    for name in set(quantities.QUANTITIES) - set(rows):
        quantities._rows.pop(name)


def labelled(seed: int) -> Atoms:
    """Water with point charges: a traceless quadrupole about the oxygen, and forces towards the starting geometry."""
    atoms = molecule("H2O")
    atoms.positions -= atoms.positions[0]
    start = atoms.positions.copy()
    atoms.rattle(0.1, seed=seed)
    atoms.positions -= atoms.positions[0]
    matrix = Rotation.random(random_state=seed).as_matrix()
    forces = (start - atoms.positions) @ matrix.T
    atoms.positions = atoms.positions @ matrix.T
    charges = np.array([CHARGES[z] for z in atoms.numbers])
    moment = np.einsum("i,ia,ib->ab", charges, atoms.positions, atoms.positions)
    atoms.info["Q"] = moment - np.trace(moment) / 3 * np.eye(3)
    atoms.calc = SinglePointCalculator(atoms, energy=0.5 * float(np.square(forces).sum()), forces=forces)
    return atoms


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_one_row_is_trained_evaluated_exported_inspected_published_loaded_and_computed(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "water.extxyz", [labelled(seed) for seed in range(24)])
    backbone = {"num_layers": 1, "channels": 16, "message_channels": 8, "hidden_channels": 8, "ffn_channels": 16}
    content = {
        "data": {"paths": ["water.extxyz"], "keys": {"quadrupole": "Q"}},
        "model": {"species": ["H", "O"], "properties": ["quadrupole"], "backbone": backbone},
        "loss": {"kind": "l2", "weights": {"quadrupole": 1.0}},
        "optimizer": {"lr": 0.01},
        "accelerator": "cpu",
        "epochs": 30,
        "batch_size": 4,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    trained = run("train", tmp_path / "config.yaml", "-o", tmp_path / "run")
    assert trained.exit_code == 0, trained.output
    report = json.loads((tmp_path / "run" / "report" / "metrics.json").read_text())
    size = np.mean([np.abs(labelled(seed).info["Q"]).mean() for seed in range(24)])
    assert report["errors"]["quadrupole_mae"] < 0.5 * size
    assert report["units"]["quadrupole"] == "e·Å²"
    assert (tmp_path / "run" / "report" / "parity_quadrupole.png").is_file()

    file = tmp_path / "model.pt"
    assert run("export", tmp_path / "run", "-o", file).exit_code == 0
    inspected = run("inspect", file)
    assert inspected.exit_code == 0, inspected.output
    assert "quadrupole" in inspected.output
    evaluated = run("evaluate", file, tmp_path / "water.extxyz", "--key", "quadrupole=Q", "-o", tmp_path / "evaluation")
    assert evaluated.exit_code == 0, evaluated.output
    assert "quadrupole: MAE" in evaluated.output
    data = {"file": "water.extxyz", "title": "Water", "origin": "made", "licence": "CC0", "citation": "none"}
    notes = {"description": "Water", "licence": "MIT", "not_for": ["anything"], "data": [data]}
    (tmp_path / "notes.yaml").write_text(yaml.safe_dump(notes))
    published = run("publish", tmp_path / "run", "-o", tmp_path / "published", "--notes", tmp_path / "notes.yaml")
    assert published.exit_code == 0, published.output
    assert "quadrupole (me·Å² per component)" in (tmp_path / "published" / "MODEL_CARD.md").read_text()

    model = mlff.load(tmp_path / "published", dtype="float64")
    assert "quadrupole" in model.metadata.outputs
    assert model.metadata.units["quadrupole"] == "e·Å²"
    atoms, matrix = labelled(99), Rotation.random(random_state=1).as_matrix()
    calculator = MLFFCalculator(model)
    value = calculator.get_property("quadrupole", atoms)
    assert np.abs(np.trace(value)) < 1e-12
    np.testing.assert_allclose(value, atoms.info["Q"], atol=size)
    turned = atoms.copy()
    turned.positions = atoms.positions @ matrix.T
    expected = QUADRUPOLE.transformed(torch.tensor(value), torch.tensor(matrix)).numpy()
    np.testing.assert_allclose(calculator.get_property("quadrupole", turned), expected, atol=1e-10)


@pytest.mark.parametrize("name", [field.name for field in fields(AtomicGraph) if field.name != "labels"])
def test_names_of_graph_tensors_are_no_quantities(name: str) -> None:
    with pytest.raises(ValueError, match=f"no quantity can be called {name}"):
        Quantity(name, "atom", "1o", "Å")


def test_names_that_torch_or_python_take_are_no_quantities() -> None:
    """Read-outs are entries of a ModuleDict, which takes no name of an attribute of its own."""
    for name in [*dir(torch.nn.ModuleDict()), "class", "two words", "noise", "dens"]:
        with pytest.raises(ValueError, match=r"no quantity can be called|the name of a quantity is"):
            quantities.register(Quantity(name, "atom", "1o", "Å"))


def test_scalars_alone_are_read_from_a_backbone_that_ends_in_scalars() -> None:
    quantities.register(Quantity("heat", "structure", "0e", "eV", extensive=True))
    quantities.register(Quantity("charges", "atom", "0e", "e"))
    potential = Potential(PotentialConfig(species=("H", "O"), properties=("heat", "charges")))
    assert potential.backbone.scalars_only
    graph = graph_from_atoms(molecule("H2O"), potential.config.cutoff, dtype=torch.float32)
    output = potential(*graph.inputs)
    assert output["heat"].shape == (1,)
    assert output["charges"].shape == (3,)
    turned = molecule("H2O")
    turned.rotate(70, (1, 2, 3))
    graph = graph_from_atoms(turned, potential.config.cutoff, dtype=torch.float32)
    assert torch.allclose(potential(*graph.inputs)["charges"], output["charges"], atol=1e-5)


def test_quantities_of_the_same_name_in_ase_are_refused_by_the_calculator(tmp_path: Path) -> None:
    """Nobody could tell which of them a result is."""
    quantities.register(replace(QUADRUPOLE, name="heat", irreps="0e", ase="free_energy"))
    mlff.export(Potential(PotentialConfig(species=("H", "O"), properties=("heat",))), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="two quantities have the same name in ASE: free_energy"):
        MLFFCalculator(tmp_path / "model.pt")
    with pytest.raises(ValueError, match="forces comes from the model of the calculator"):
        MLFFCalculator("formate-cu110", properties={"forces": "co2-ni100"})
