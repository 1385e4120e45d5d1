from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mlff.training.averaging import Averages, ema_decay
from mlff.training.optimizers import parameter_groups
from mlff.training.schedule import learning_rate_factor


def test_schedule_values() -> None:
    factors = [learning_rate_factor(step, 13, 4, 0.1) for step in range(13)]
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert factors[4] == pytest.approx(1.0)
    # Half of the cosine: (step - 4) / (12 - 4) = 1/2.
    assert factors[8] == pytest.approx(0.55)
    assert factors[6] == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi / 4)))
    assert factors[12] == pytest.approx(0.1)


def test_schedule_follows_the_clock_when_it_is_ahead() -> None:
    assert learning_rate_factor(10, 1000, 0, 0.0, progress=0.5) == pytest.approx(0.5)
    assert learning_rate_factor(999, 1000, 0, 0.0, progress=0.5) == pytest.approx(0.0)
    assert learning_rate_factor(10, 1000, 0, 0.2, progress=7.0) == pytest.approx(0.2)


@given(st.integers(1, 50), st.integers(0, 60), st.floats(0.0, 1.0))
def test_schedule_rises_then_falls_and_stays_between_bounds(total: int, warmup: int, lowest: float) -> None:
    factors = [learning_rate_factor(step, total, warmup, lowest) for step in range(total)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    rising, falling = factors[:warmup], factors[warmup:]
    assert rising == sorted(rising)
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))
    assert all(factor >= lowest - 1e-12 for factor in falling)


def test_averages_follow_the_formula() -> None:
    module = nn.Linear(1, 1, bias=False)
    averaged = Averages(module, decay=0.3)
    values = [2.0, -1.0, 0.5, 4.0, 8.0, -3.0]
    expected = 0.0
    for n, value in enumerate(values):
        with torch.no_grad():
            module.weight.fill_(value)
        averaged.update_parameters(module)
        decay = min(0.3, (1 + n) / (10 + n))
        expected = value if n == 0 else decay * expected + (1 - decay) * value
        assert averaged.module.weight.item() == pytest.approx(expected)
    assert [ema_decay(n, 0.3) for n in (0, 2, 100)] == pytest.approx([0.1, 0.25, 0.3])


def test_averages_are_frozen_follow_buffers_and_leave_the_module_alone() -> None:
    module = nn.BatchNorm1d(2)
    averaged = Averages(module, decay=0.9)
    assert not averaged.training
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert module.running_mean is not None
    module.running_mean.fill_(3.0)
    averaged.update_parameters(module)
    assert averaged.module.running_mean.tolist() == [3.0, 3.0]


def test_weight_decay_acts_on_matrices_only() -> None:
    module = nn.ModuleDict({"linear": nn.Linear(3, 2), "norm": nn.LayerNorm((2, 2)), "embedding": nn.Embedding(4, 2)})
    decayed, others = parameter_groups(module, 0.1)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {tuple(p.shape) for p in decayed["params"]} == {(2, 3), (4, 2)}
    assert len(decayed["params"]) + len(others["params"]) == len(list(module.parameters()))
