"""The backbone against the published facts."""

import pytest
import torch
from pydantic import ValidationError

from mlff.equiformer import EquiformerConfig, GraphContext
from mlff.equiformer.attention import GraphAttention
from mlff.equiformer.softmax import envelope_softmax, segment_softmax
from mlff.irreps import EdgeFrame
from mlff.potential import Potential, PotentialConfig

#: Totals of the published configurations (equiformer_v2 repository; 31M to the last digit).
PUBLISHED_PARAMETERS = {
    "equiformer-v2-31M": 31_058_690,
    "equiformer-v2-83M": 83_164_802,
    "equiformer-v2-153M": 153_602_690,
    "equiformer-v2-121M-oc22": 121_526_402,
}


@pytest.mark.parametrize("preset", PUBLISHED_PARAMETERS)
def test_presets_reproduce_the_published_parameter_counts(preset):
    def count(num_layers: int) -> int:
        backbone = {"preset": preset, "num_layers": num_layers}
        potential = Potential(PotentialConfig(species=("H",), forces="direct", backbone=backbone))
        return sum(parameter.numel() for parameter in potential.parameters())

    layers = EquiformerConfig.model_validate({"preset": preset}).num_layers
    assert count(1) + (layers - 1) * (count(2) - count(1)) == PUBLISHED_PARAMETERS[preset]  # without allocating it all


def test_preset_fields_can_be_overridden_and_bad_ones_are_named():
    config = EquiformerConfig.model_validate({"preset": "smooth", "num_layers": 2})
    assert (config.num_layers, config.lmax, config.smooth) == (2, 2, True)
    assert not EquiformerConfig().smooth
    with pytest.raises(ValidationError, match=r"unknown preset `rough`: choose from .*smooth"):
        EquiformerConfig.model_validate({"preset": "rough"})
    with pytest.raises(ValidationError, match="mmax = 3 exceeds lmax = 2"):
        EquiformerConfig.model_validate({"preset": "smooth", "mmax": 3})
    with pytest.raises(ValidationError, match="layers"):
        EquiformerConfig.model_validate({"preset": "smooth", "layers": 3})


def random_edges(num_nodes: int = 5, num_edges: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(0, num_nodes - 1, (num_edges,), generator=generator)  # the last node has no edge
    return torch.randn(num_edges, 3, dtype=torch.float64, generator=generator) * 3.0, target


def test_segment_softmax_is_the_softmax_of_each_node():
    logits, target = random_edges()
    weights = segment_softmax(logits, target, 5)
    for node in range(4):
        mine = target == node
        assert torch.allclose(weights[mine], torch.softmax(logits[mine], dim=0), atol=1e-14)


def test_envelope_softmax_formula_stability_and_fading():
    logits, target = random_edges()
    envelope = torch.rand(30, dtype=torch.float64)
    null = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    weights = envelope_softmax(logits, envelope, null, target, 5)
    u = envelope[:, None]
    total = torch.exp(null).expand(5, 3).index_add(0, target, u * torch.exp(logits))
    assert torch.allclose(weights, u * u * torch.exp(logits) / total[target], atol=1e-14)
    # huge logits neither overflow nor change the law: a common offset of logits and null mass cancels
    assert torch.allclose(envelope_softmax(logits + 1e4, envelope, null + 1e4, target, 5), weights, atol=1e-10)
    # a lone neighbour fades like u²
    lone = [
        envelope_softmax(torch.zeros(1, 1), torch.tensor([u]), torch.zeros(1), torch.zeros(1, dtype=torch.long), 1)
        for u in (1e-3, 1e-4)
    ]
    assert (lone[0] / lone[1]).item() == pytest.approx(100.0, rel=1e-2)


@pytest.mark.parametrize("activation", ["gate", "swiglu_s2", "separable_s2"])
def test_scalars_only_attention_is_the_first_row_of_the_full_one(activation):
    config = EquiformerConfig.model_validate(
        {"preset": "smooth", "channels": 8, "hidden_channels": 4, "num_heads": 2, "alpha_channels": 3,
         "value_channels": 4, "edge_channels": 6, "edge_activation": activation}
    )  # fmt: skip
    torch.manual_seed(0)
    full = GraphAttention(config, 2, 8).double()
    scalars = GraphAttention(config, 2, 8, scalars_only=True).double()
    own = scalars.state_dict()
    scalars.load_state_dict(
        {
            name: tensor[tuple(slice(0, n) for n in own[name].shape)]
            for name, tensor in full.state_dict().items()
            if name in own
        }
    )
    edge_vec, target = random_edges()
    species = torch.tensor([0, 1, 0, 1, 1])
    source = torch.arange(30) % 5
    basis = torch.rand(30, config.num_radial, dtype=torch.float64)
    graph = GraphContext(
        source, target, species[source], species[target], basis, torch.rand(30, dtype=torch.float64),
        EdgeFrame(2, 2)(torch.nn.functional.normalize(edge_vec, dim=1)), torch.zeros(5, dtype=torch.long), 1,
    )  # fmt: skip
    x = torch.randn(5, 9, 8, dtype=torch.float64)
    assert torch.allclose(scalars(x, graph), full(x, graph)[:, :1], atol=1e-13)
