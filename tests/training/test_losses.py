from __future__ import annotations

import math

import pytest
import torch

from mlff.graph import AtomicGraph
from mlff.potential.training.config import LossConfig
from mlff.potential.training.losses import compute_loss, deviation


def batch(energy: list[float], forces: list[list[float]], batch_index: list[int]) -> AtomicGraph:
    atoms, graphs = len(forces), len(energy)
    return AtomicGraph(
        positions=torch.zeros(atoms, 3),
        numbers=torch.ones(atoms, dtype=torch.int64),
        cell=torch.zeros(graphs, 3, 3),
        pbc=torch.zeros(graphs, 3, dtype=torch.bool),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        shifts=torch.zeros(0, 3),
        batch=torch.tensor(batch_index),
        labels={
            "energy": torch.tensor(energy, dtype=torch.float64),
            "forces": torch.tensor(forces),
            "stress": torch.zeros(graphs, 3, 3),
        },
    )


def test_deviation_against_hand_numbers() -> None:
    difference = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, -0.5]])
    assert deviation(difference, "mae", 1.0).item() == pytest.approx(7.5 / 6)
    assert deviation(difference, "l2", 1.0).item() == pytest.approx((5.0 + 0.5) / 2)
    # delta 1: |3| - 1/2, |4| - 1/2, 0.5^2 / 2
    assert deviation(difference, "huber", 1.0).item() == pytest.approx((2.5 + 3.5 + 0.125) / 6)
    # delta 2: 3 - 1, 4 - 1, 0.25 / 4
    assert deviation(difference, "huber", 2.0).item() == pytest.approx((2.0 + 3.0 + 0.0625) / 6)


@pytest.mark.parametrize("kind", ["mae", "l2", "huber"])
def test_gradient_is_finite_at_zero_and_empty_input_costs_nothing(kind: str) -> None:
    difference = torch.zeros(2, 3, requires_grad=True)
    deviation(difference, kind, 0.1).backward()  # type: ignore[arg-type]
    assert difference.grad is not None
    assert bool(torch.isfinite(difference.grad).all())
    assert deviation(torch.zeros(0, 3), kind, 0.1).item() == 0.0  # type: ignore[arg-type]


def test_weighted_loss_of_a_batch_of_two_structures() -> None:
    graph = batch([-10.0, -4.0], [[0.0, 0.0, 0.0]] * 3, [0, 0, 1])
    output = {
        "energy": torch.tensor([-9.0, -4.25], dtype=torch.float64),
        "forces": torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        "stress": torch.full((2, 3, 3), 0.1),
    }
    config = LossConfig(kind="l2", energy_weight=2.0, forces_weight=10.0, stress_weight=1.0)
    terms = compute_loss(output, graph, config)
    assert terms.parts["energy"].item() == pytest.approx((0.5 + 0.25) / 2)
    assert terms.parts["forces"].item() == pytest.approx(2.0)
    assert terms.parts["stress"].item() == pytest.approx(0.3)
    assert terms.total.item() == pytest.approx(2.0 * 0.375 + 10.0 * 2.0 + 0.3)


def test_energy_difference_of_large_totals_is_taken_in_float64() -> None:
    # 1 meV in 10^5 eV is lost in float32, whose spacing there is 8 meV.
    graph = batch([-100_000.0], [[0.0, 0.0, 0.0]], [0])
    output = {"energy": torch.tensor([-99_999.999], dtype=torch.float64), "forces": torch.zeros(1, 3)}
    terms = compute_loss(output, graph, LossConfig(kind="mae", forces_weight=0.0))
    assert terms.total.item() == pytest.approx(1e-3, rel=1e-5)


def test_a_missing_label_is_named() -> None:
    graph = batch([0.0], [[0.0, 0.0, 0.0]], [0]).replace(stress=None)
    output = {"energy": torch.zeros(1, dtype=torch.float64), "forces": torch.zeros(1, 3)}
    output["stress"] = torch.zeros(1, 3, 3)
    with pytest.raises(ValueError, match="stress"):
        compute_loss(output, graph, LossConfig(stress_weight=1.0))


def test_unweighted_parts_do_not_need_labels() -> None:
    graph = batch([1.0], [[0.0, 0.0, 0.0]], [0]).replace(forces=None, stress=None)
    output = {"energy": torch.zeros(1, dtype=torch.float64), "forces": torch.zeros(1, 3)}
    terms = compute_loss(output, graph, LossConfig(kind="mae", forces_weight=0.0))
    assert math.isclose(terms.total.item(), 1.0)
