"""Scale of forces, offset of the energy, and weights that were saved before these existed."""

from __future__ import annotations

import copy

import pytest
import torch

from mlff.artifacts.torchscript import TorchScriptPayload
from mlff.potential import Potential, PotentialConfig, completed

SMALL = {
    **{"preset": "equiformer-v2-31M", "num_layers": 1, "lmax": 1, "mmax": 1, "channels": 8, "hidden_channels": 4},
    **{"num_heads": 2, "alpha_channels": 4, "value_channels": 4, "ffn_channels": 8, "edge_channels": 8},
    **{"num_radial": 16, "cutoff": 5.0, "max_num_elements": None, "grid_resolution": 8},
}


def potential(forces: str = "direct") -> Potential:
    torch.manual_seed(0)
    return Potential(PotentialConfig(species=("H", "O"), forces=forces, backbone=SMALL)).eval().requires_grad_(False)


def structures(sizes: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    batch = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    pairs = [(j, i) for i in range(sum(sizes)) for j in range(sum(sizes)) if i != j and batch[i] == batch[j]]
    edge_index = torch.tensor(pairs).T
    positions = torch.randn(sum(sizes), 3, generator=torch.Generator().manual_seed(1))
    numbers = torch.tensor([1, 8] * sum(sizes))[: sum(sizes)]
    return positions, numbers, torch.eye(3).expand(len(sizes), 3, 3), edge_index, torch.zeros(len(pairs), 3), batch


def test_offset_and_force_scale_act_on_their_own_output():
    model, graph = potential(), structures((2, 5))
    before = model(*graph)
    model.energy_offset.fill_(-7.0)
    model.force_scale.fill_(3.0)
    for scripted in (model, TorchScriptPayload().script(copy.deepcopy(model))):
        after = scripted(*graph)
        torch.testing.assert_close(after["energy"], before["energy"] - 7.0)
        torch.testing.assert_close(after["forces"], 3.0 * before["forces"])
        shares = after["energies"] - before["energies"]
        torch.testing.assert_close(shares, torch.tensor([-3.5] * 2 + [-1.4] * 5, dtype=torch.float64))


def test_without_an_offset_energies_are_those_of_the_network():
    model, graph = potential(), structures((2, 5))
    network = model.energy_head(model.backbone(*_features(model, graph))).double() * model.scale
    torch.testing.assert_close(model(*graph)["energies"], network)


def _features(model: Potential, graph: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    positions, numbers, _, edge_index, _, batch = graph
    species = model.species_of_number[numbers]
    edge_vec = positions[edge_index[0]] - positions[edge_index[1]]
    return species, model.backbone.context(species, edge_vec, edge_index, batch, 2)


def test_normalisation_from_data_scales_energies_and_forces_alike():
    model = potential()
    model.set_normalization({1: 0.0, 8: 0.0}, scale=2.5, avg_degree=3.0)
    assert (model.scale.item(), model.force_scale.item(), model.energy_offset.item()) == (2.5, 2.5, 0.0)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_saved_before_scale_and_offset_existed_load(prefix):
    model, graph = potential(), structures((2, 5))
    model.set_normalization({1: -1.0, 8: -2.0}, scale=2.5, avg_degree=3.0)
    old = {name: value for name, value in model.state_dict().items() if name not in ("force_scale", "energy_offset")}
    assert len(completed(old)) == len(model.state_dict())
    other = potential()
    holder = torch.nn.ModuleDict({"module": other}) if prefix else other
    holder = copy.deepcopy(holder)  # averages are copies
    holder.load_state_dict({prefix + name: value for name, value in old.items()})
    loaded = holder["module"] if prefix else holder
    for key, value in model(*graph).items():
        torch.testing.assert_close(loaded(*graph)[key], value)
    with pytest.raises(RuntimeError, match="Missing key"):
        potential().load_state_dict({name: value for name, value in old.items() if name != "scale"})
