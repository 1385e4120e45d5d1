"""Every option of the published architecture: equivariance, scriptability, conservative forces, what it leaves out."""

import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.rotations import random_rotation

from mlff.artifacts.torchscript import TorchScriptPayload
from mlff.equiformer import EquiformerConfig
from mlff.potential import Potential, PotentialConfig

# a grid so fine that SiLU on it is equivariant to 1e-6 and better
SMALL = {
    **{"preset": "equiformer-v2-31M", "num_layers": 1, "lmax": 2, "mmax": 1, "channels": 8, "hidden_channels": 4},
    **{"num_heads": 2, "alpha_channels": 4, "value_channels": 4, "ffn_channels": 8, "edge_channels": 8},
    **{"num_radial": 16, "cutoff": 5.0, "grid_resolution": 30},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "published": {},
    "edges: one S2 activation": {"edge_activation": "s2"},
    "edges: gate": {"edge_activation": "gate"},
    "joint grid MLP": {"feed_forward": "joint_grid_mlp"},
    "separable S2 feed-forward": {"feed_forward": "separable_s2"},
    "S2 feed-forward": {"feed_forward": "s2"},
    "gated feed-forward": {"feed_forward": "gate"},
    "layer norm per degree": {"norm": "layer_norm"},
    "merged norm": {"norm": "merged"},
    "no norms": {"norm": "none"},
    "shared element embeddings": {"edge_elements": "shared"},
    "no element embeddings on edges": {"edge_elements": "none"},
    "no attention norm": {"attention_norm": False},
    "weights per degree": {"radial_weights": "degree"},
    "mmax 0": {"mmax": 0},
    "mmax = lmax": {"mmax": 2},
}
numbers = torch.tensor([1, 6, 8, 1, 1, 6])
edge_index = torch.tensor([[j, i] for i in range(6) for j in range(6) if i != j]).T


def potential(options: dict[str, Any], forces: str) -> Potential:
    torch.manual_seed(0)
    model = Potential(PotentialConfig(species=("H", "C", "O"), forces=forces, backbone={**SMALL, **options})).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.double()
    return model.requires_grad_(False)


def evaluate(model: torch.nn.Module, positions: torch.Tensor) -> dict[str, torch.Tensor]:
    cell = 30.0 * torch.eye(3, dtype=torch.float64)[None]
    shifts = torch.zeros(edge_index.shape[1], 3, dtype=torch.float64)
    return model(positions, numbers, cell, edge_index, shifts, torch.zeros(6, dtype=torch.int64))


def molecule() -> torch.Tensor:
    return 1.3 * torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("forces", ["direct", "conservative"])
def test_equivariant_and_scriptable(name, forces):
    model, positions = potential(OPTIONS[name], forces), molecule()
    rotation = random_rotation(0)
    out, turned = evaluate(model, positions), evaluate(model, positions @ rotation.T)
    assert ((turned["energy"] - out["energy"]).abs() < 1e-5 * out["energy"].abs()).all()
    assert (turned["forces"] - out["forces"] @ rotation.T).norm() < 1e-4 * out["forces"].norm()
    scripted = evaluate(TorchScriptPayload().script(copy.deepcopy(model)), positions)
    torch.testing.assert_close(scripted["energy"], out["energy"], rtol=1e-12, atol=0)
    torch.testing.assert_close(scripted["forces"], out["forces"], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["joint grid MLP", "S2 feed-forward", "gated feed-forward", "edges: one S2 activation"]
)
def test_conservative_forces_are_the_derivative(name):
    model, positions = potential(OPTIONS[name], "conservative"), molecule()
    forces = evaluate(model, positions)["forces"]
    step = torch.zeros_like(positions)
    step[2] = torch.tensor([3e-5, -2e-5, 1e-5])
    difference = evaluate(model, positions + step)["energy"] - evaluate(model, positions - step)["energy"]
    assert difference.item() == pytest.approx(-2.0 * (forces * step).sum().item(), rel=1e-4)


def count(options: dict[str, Any]) -> int:
    return sum(parameter.numel() for parameter in potential(options, "direct").parameters())


def test_what_options_leave_out():
    """Two attention blocks and the degree embedding read elements; two feed-forward networks, one of them a head."""
    elements, width, hidden, channels, lmax = 90, 8, 8, 8, 2
    everything = count({})
    embeddings = 2 * elements * width
    assert count({"edge_elements": "shared"}) == everything - 3 * embeddings + embeddings
    assert count({"edge_elements": "none"}) == everything - 3 * (embeddings + 2 * width * width)
    assert count({"attention_norm": False}) == everything - 2 * 2 * SMALL["alpha_channels"]
    assert count({"norm": "none"}) == everything - 3 * (2 + lmax) * channels
    scalar_mlp, grid_mlp = channels * hidden + hidden, 3 * hidden * hidden
    assert count({"feed_forward": "joint_grid_mlp"}) == everything - 2 * scalar_mlp
    assert count({"feed_forward": "separable_s2"}) == everything - 2 * grid_mlp
    assert count({"feed_forward": "s2"}) == everything - 2 * (grid_mlp + scalar_mlp)
    assert count({"feed_forward": "gate"}) == everything - 2 * (grid_mlp + scalar_mlp) + 2 * lmax * scalar_mlp


def test_shared_embeddings_differ_by_element():
    model = potential(OPTIONS["shared element embeddings"], "direct")
    before = evaluate(model, molecule())["energy"]
    model.backbone.source_embedding.weight[8] += 1.0
    assert not torch.allclose(evaluate(model, molecule())["energy"], before)
    model.backbone.source_embedding.weight[7] += 1.0
    after = evaluate(model, molecule())["energy"]
    model.backbone.source_embedding.weight[7] -= 1.0
    assert torch.equal(evaluate(model, molecule())["energy"], after)


@pytest.mark.parametrize("points", [5, 4, 17, "coarse"])
def test_grids_that_cannot_hold_the_signal_are_refused(points):
    with pytest.raises(ValidationError, match="grid_resolution"):
        EquiformerConfig.model_validate({"preset": "equiformer-v2-31M", "grid_resolution": points})
