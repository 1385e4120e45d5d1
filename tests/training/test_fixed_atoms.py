"""Forces on atoms under constraints, as labels and in errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.constraints import FixAtoms
from ase.io import read, write
from typer.testing import CliRunner

from mlff.cli import app
from mlff.graph import AtomicGraph
from mlff.potential.training.config import LossConfig
from mlff.potential.training.fixed_atoms import force_atoms
from mlff.potential.training.losses import compute_loss
from mlff.potential.training.metrics import error_sums, errors_by_element, errors_from_sums, predict
from mlff.training import load_config, train


@pytest.fixture
def graph() -> AtomicGraph:
    """Two structures of two atoms, the first atom (Cu) of each fixed: with force 0 in the first structure only."""
    return AtomicGraph(
        positions=torch.zeros(4, 3),
        numbers=torch.tensor([29, 8, 29, 8]),
        cell=torch.zeros(2, 3, 3),
        pbc=torch.zeros(2, 3, dtype=torch.bool),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        shifts=torch.zeros(0, 3),
        batch=torch.tensor([0, 0, 1, 1]),
        labels={
            "energy": torch.zeros(2, dtype=torch.float64),
            "forces": torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        },
        fixed=torch.tensor([True, False, True, False]),
    )


RULES = [("auto", [1, 2, 3]), ("include", [0, 1, 2, 3]), ("exclude", [1, 3])]


@pytest.mark.parametrize(("rule", "kept"), RULES)
def test_atoms_that_count(graph: AtomicGraph, rule: str, kept: list[int]) -> None:
    mask = force_atoms(graph, rule)  # type: ignore[arg-type]
    assert (list(range(4)) if mask is None else mask.nonzero()[:, 0].tolist()) == kept


@pytest.mark.parametrize("rule", ["auto", "exclude"])
def test_structures_without_constraints_count_in_full(graph: AtomicGraph, rule: str) -> None:
    mask = force_atoms(graph.replace(fixed=torch.zeros(4, dtype=torch.bool)), rule)  # type: ignore[arg-type]
    assert mask is not None
    assert bool(mask.all())
    assert force_atoms(graph.replace(fixed=None), rule) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("rule", "kept"), RULES)
def test_loss_and_errors_use_the_same_atoms(graph: AtomicGraph, rule: str, kept: list[int]) -> None:
    predicted = torch.arange(12.0).reshape(4, 3)
    output = {"energy": torch.zeros(2, dtype=torch.float64), "forces": predicted}
    assert graph.forces is not None
    expected = (predicted - graph.forces)[kept].abs().mean().item()

    config = LossConfig.model_validate({"kind": "mae", "energy_weight": 0, "fixed_atoms": rule})
    assert compute_loss(output, graph, config).total.item() == pytest.approx(expected)
    predictions = predict([graph], lambda batch, stress: output, ("energy", "forces"), fixed_atoms=rule)  # type: ignore[arg-type]
    assert errors_from_sums(error_sums(predictions, ["forces"]), ["forces"])["forces_mae"] == pytest.approx(expected)
    rows = {row["element"]: row for row in errors_by_element(predictions)}
    assert sum(int(row["atoms"]) for row in rows.values()) == len(kept)
    assert ("Cu" in rows) == (rule != "exclude")
    assert rows["O"]["mae"] == pytest.approx((predicted - graph.forces)[[1, 3]].abs().mean().item())


def test_a_prediction_for_a_held_atom_has_no_gradient(graph: AtomicGraph) -> None:
    forces = torch.ones(4, 3, requires_grad=True)
    output = {"energy": torch.zeros(2, dtype=torch.float64), "forces": forces}
    compute_loss(output, graph, LossConfig()).total.backward()
    assert forces.grad is not None
    assert forces.grad.abs().sum(dim=1).bool().tolist() == [False, True, True, True]


def test_no_force_left_gives_no_force_error(graph: AtomicGraph) -> None:
    held = graph.replace(fixed=torch.ones(4, dtype=torch.bool))
    output = {"energy": torch.zeros(2, dtype=torch.float64), "forces": torch.ones(4, 3)}
    predictions = predict([held], lambda batch, stress: output, ("energy", "forces"), fixed_atoms="exclude")
    assert errors_from_sums(error_sums(predictions, ["forces"]), ["forces"]) == {}
    assert compute_loss(output, held, LossConfig(fixed_atoms="exclude")).parts["forces"].item() == 0.0


def test_a_run_reports_what_it_left_out(write_config: Callable[..., Path], tmp_path: Path) -> None:
    frames = read(tmp_path / "emt.extxyz", ":")
    for frame in frames:
        frame.set_constraint(FixAtoms([0]))
        forces = np.array(frame.calc.results["forces"])
        forces[0] = 0.0
        frame.calc.results["forces"] = forces
    write(tmp_path / "emt.extxyz", frames)
    result = train(load_config(write_config(epochs=1)))
    assert result.report is not None
    assert result.report["fixed_atoms_left_out"] == result.report["structures"] == 2
    assert sum(row["atoms"] for row in result.report["by_element"]) == 2 * 3
    for rule, left_out in (("auto", 20), ("include", 0)):
        command = ["evaluate", str(result.folder.root), str(tmp_path / "emt.extxyz"), "-o", str(tmp_path / rule)]
        assert CliRunner().invoke(app, [*command, "--fixed-atoms", rule]).exit_code == 0
        assert json.loads((tmp_path / rule / "metrics.json").read_text())["fixed_atoms_left_out"] == left_out
