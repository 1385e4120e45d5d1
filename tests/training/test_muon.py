"""Muon: orthogonalised momentum for matrices, AdamW for the rest."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mlff.irreps import SO2Linear, SO3Linear
from mlff.training.muon import Muon, orthogonalised
from mlff.training.optimizers import muon_groups, parameter_groups

LR, DECAY, MOMENTUM = 0.01, 0.1, 0.95


def matrices(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def stepped(start: Tensor, gradients: list[Tensor]) -> Tensor:
    """A parameter after steps with given gradients."""
    parameter = nn.Parameter(start.clone())
    optimizer = Muon([{"params": [parameter], "momentum": MOMENTUM}], lr=LR, weight_decay=DECAY)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


@given(rows=st.integers(8, 24), columns=st.integers(8, 24), scale=st.floats(-6, 6), seed=st.integers(0, 99))
def test_singular_vectors_stay_and_singular_values_end_near_one(
    rows: int, columns: int, scale: float, seed: int
) -> None:
    matrix = 10**scale * matrices(1, rows, columns, seed=seed)
    u, values, vt = torch.linalg.svd(matrix[0], full_matrices=False)
    seen = u.T @ orthogonalised(matrix)[0] @ vt.T
    torch.testing.assert_close(seen, torch.diag(seen.diagonal()), atol=1e-9, rtol=0)
    # the iteration lifts what is above a thousandth of the norm
    large = values > 1e-3 * torch.linalg.vector_norm(values)
    assert ((seen.diagonal() > 0.3) & (seen.diagonal() < 1.3))[large].all()


def test_a_step_has_the_size_of_one_of_adamw_whatever_the_gradient() -> None:
    for scale in (1e-5, 1e5):
        step = stepped(torch.zeros(96, 64, dtype=torch.float64), [scale * matrices(96, 64)])
        assert step.square().mean().sqrt() / LR == pytest.approx(0.2, rel=0.2)


def test_rotated_gradients_give_rotated_steps() -> None:
    left, right = torch.linalg.qr(matrices(12, 12))[0], torch.linalg.qr(matrices(9, 9))[0]
    start, gradients = matrices(12, 9, seed=1), [matrices(12, 9, seed=seed) for seed in (2, 3, 4)]
    rotated = stepped(left @ start @ right, [left @ gradient @ right for gradient in gradients])
    torch.testing.assert_close(rotated, left @ stepped(start, gradients) @ right)


def test_degrees_are_matrices_of_their_own() -> None:
    start, gradients = matrices(3, 8, 10, seed=1), [matrices(3, 8, 10, seed=seed) for seed in (2, 3)]
    together = stepped(start, gradients)
    for degree in range(3):
        alone = stepped(start[degree], [gradient[degree] for gradient in gradients])
        torch.testing.assert_close(together[degree], alone)


def test_a_constant_gradient_moves_by_the_decayed_sum() -> None:
    gradient = torch.eye(8, dtype=torch.float64)
    after_one = stepped(torch.zeros(8, 8, dtype=torch.float64), [gradient])
    after_two = stepped(torch.zeros(8, 8, dtype=torch.float64), [gradient, gradient])
    # the direction of the momentum is the same in both steps
    torch.testing.assert_close(after_two, after_one * (1.0 - LR * DECAY) + after_one)


def test_all_but_the_matrices_of_linear_maps_step_as_with_adamw() -> None:
    module = nn.ModuleDict(
        {
            "linear": nn.Linear(8, 9),
            "degrees": SO3Linear(8, 8, 2),
            "order": SO2Linear(8, 8, parity=False),
            "energy": nn.Linear(9, 1),
            "embedding": nn.Embedding(20, 8),
            "norm": nn.LayerNorm((8, 8)),
        }
    )
    other = copy.deepcopy(module)
    muon = Muon(muon_groups(module, 0.1, (nn.Linear, SO2Linear, SO3Linear)), lr=LR)
    adamw = torch.optim.AdamW(parameter_groups(other, 0.1), lr=LR)
    for step in range(3):
        for seed, (first, second) in enumerate(zip(module.parameters(), other.parameters(), strict=True)):
            first.grad = matrices(*first.shape, seed=10 * step + seed).float()
            second.grad = first.grad.clone()
        muon.step()
        adamw.step()
        assert all(parameter.grad is not None for parameter in module.parameters())
    pairs = zip(module.named_parameters(), other.parameters(), strict=True)
    differ = {name for (name, first), second in pairs if not torch.equal(first, second)}
    assert differ == {"linear.weight", "degrees.weight", "order.weight"}
