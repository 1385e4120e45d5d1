"""A new output on top of pretrained weights: the energy is that of the pretrained model."""

import pytest
import torch
from support.physics_models import evaluate, make_potential, rattled_molecule

from mlff.graph import Quantity, graph_from_atoms, quantities
from mlff.potential import DensPotential, Potential, PotentialConfig, scalar_part
from mlff.potential.training.start import known_last_block
from mlff.potential.training.trained import InitialWeights
from mlff.training.checkpointing import load_matching

PUBLISHED = {"norm": "layer_norm_sh", "feed_forward": "grid_mlp"}
ROWS = (
    Quantity("octupole", "structure", "3o", "e·Å³", extensive=True, periodic=False),
    Quantity("shielding", "atom", "0e+2e", "ppm"),
    Quantity("gap", "structure", "0e", "eV"),
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for row in ROWS:
        monkeypatch.setitem(quantities._rows, row.name, row)


def tuned(pretrained: Potential, *properties: str, last_block: str = "auto", **changes) -> Potential:
    """A new potential with these weights, as a training with ``init_from`` starts."""
    weights = InitialWeights(pretrained.state_dict(), pretrained.config.species)
    asked = make_potential(properties=properties, last_block=last_block, **changes).config
    last_block = known_last_block(asked, weights)
    new = make_potential(seed=1, properties=properties, last_block=last_block, **changes)
    load_matching(new, scalar_part(new, weights.tensors))
    return new


def assert_same_energies(new: Potential, old: Potential) -> None:
    mine, its = (evaluate(potential, rattled_molecule()) for potential in (new, old))
    for name in ("energy", "energies", "forces"):
        assert mine[name] == pytest.approx(its[name], rel=1e-12, abs=1e-12), name


@pytest.mark.parametrize("properties", [("dipole",), ("octupole", "gap", "shielding")])
@pytest.mark.parametrize("changes", [{}, {"num_layers": 1, "norm": "none"}, PUBLISHED, {"norm": "layer_norm"}])
def test_energies_and_forces_at_the_first_step_are_those_of_the_pretrained_model(properties, changes):
    changes = {"lmax": 3, **changes}
    pretrained = make_potential(**changes)
    new = tuned(pretrained, *properties, **changes)
    assert_same_energies(new, pretrained)
    graph = graph_from_atoms(rattled_molecule(), new.config.cutoff, dtype=torch.float64)
    new.requires_grad_(True).train()
    output = new(*graph.inputs)
    for name in properties:
        assert bool((output[name] != 0).any())
    sum(output[name].square().sum() for name in properties).backward()
    reached = {name for name, own in new.named_parameters() if own.grad is not None and bool(own.grad.any())}
    for name in properties:
        assert any(own.startswith(f"properties.{name}.") for own in reached)
    assert any(own.startswith("backbone.blocks.0.") for own in reached)


def test_further_outputs_leave_the_earlier_ones_as_they_are():
    first = tuned(make_potential(), "dipole", "gap")
    second = tuned(first, "dipole", "gap", "shielding")
    assert_same_energies(second, first)
    mine, its = (evaluate(potential, rattled_molecule()) for potential in (second, first))
    for name in ("dipole", "gap"):
        assert mine[name] == pytest.approx(its[name], abs=1e-12)


def test_outputs_that_are_left_out_leave_energies_as_they_are():
    first = tuned(make_potential(), "dipole")
    assert_same_energies(tuned(first), first)
    whole = make_potential(properties=("dipole",))
    assert not whole.backbone.scalars_only
    assert_same_energies(tuned(whole, last_block="whole"), whole)


def test_a_whole_last_block_takes_the_energies_of_a_model_with_direct_forces():
    direct = make_potential(forces="direct")
    mine, its = (evaluate(model, rattled_molecule()) for model in (tuned(direct, last_block="whole"), direct))
    assert mine["energies"] == pytest.approx(its["energies"], rel=1e-13)
    cut = evaluate(tuned(direct), rattled_molecule())
    assert cut["energies"] != pytest.approx(its["energies"], rel=1e-9)


def test_weights_of_a_whole_last_block_keep_it():
    whole = make_potential(properties=("dipole",))
    new = tuned(whole, "dipole", "shielding")
    assert not new.backbone.scalars_only
    assert_same_energies(new, whole)
    assert evaluate(new, rattled_molecule())["dipole"] == pytest.approx(evaluate(whole, rattled_molecule())["dipole"])


def test_denoising_beside_such_an_output_leaves_it_as_it_is():
    potential = tuned(make_potential(), "dipole")
    graph = graph_from_atoms(rattled_molecule(), potential.config.cutoff, dtype=torch.float64)
    clean = torch.zeros(len(graph.numbers), dtype=torch.bool)
    output = DensPotential(potential).double().eval()(graph.inputs, torch.zeros_like(graph.positions), clean)
    expected = evaluate(potential, rattled_molecule())
    assert output["dipole"].detach().numpy() == pytest.approx(expected["dipole"], abs=1e-12)
    assert output["energy"].detach().numpy() == pytest.approx(expected["energy"], rel=1e-13)


@pytest.mark.parametrize("fields", [{"forces": "direct"}, {"energy_head": "feed_forward"}])
def test_scalars_alone_are_refused_where_energies_or_forces_need_more(fields):
    with pytest.raises(ValueError, match="last_block 'scalars' needs conservative forces"):
        PotentialConfig(last_block="scalars", **fields)
