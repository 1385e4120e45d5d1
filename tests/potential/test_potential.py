"""Configuration, normalisation and outputs of a potential."""

import numpy as np
import pytest
import torch
from ase import Atoms
from pydantic import ValidationError
from support.physics_models import SMALL, evaluate, make_potential, rattled_crystal, rattled_molecule
from support.rounding import rounding

from mlff.graph import graph_from_atoms
from mlff.potential import Potential, PotentialConfig, scalar_part


def test_config_takes_symbols_or_numbers_and_names_what_is_wrong():
    config = PotentialConfig(species=["O", 6, "Ni"])
    assert config.species == (6, 8, 28)
    assert PotentialConfig.model_validate(PotentialConfig().model_dump()).species == ()
    with pytest.raises(ValueError, match="species is auto"):
        Potential(PotentialConfig())
    assert PotentialConfig.model_validate(config.model_dump()) == config
    assert (config.conservative, config.cutoff, config.max_neighbors) == (True, 5.0, None)
    for bad in (["Xx"], [0], [119], [True], "CO", []):
        with pytest.raises(ValidationError, match="species"):
            PotentialConfig(species=bad)
    with pytest.raises(ValueError, match="max_num_elements"):
        Potential(PotentialConfig(species=["U"], backbone={**SMALL, "max_num_elements": 90}))


def test_normalisation_is_checked_and_shifts_and_scales_the_energy():
    potential, atoms = make_potential(), rattled_molecule()
    before = evaluate(potential, atoms)
    references = {1: -1.0, 6: -6.0, 8: -8.0, 29: -29.0}
    interaction = before["energies"] - potential.reference_energies[torch.as_tensor(atoms.numbers)].numpy()
    potential.set_normalization(references, scale=3.0, avg_degree=12.0)
    after = evaluate(potential, atoms)
    assert np.allclose(after["energies"], [references[n] for n in atoms.numbers] + 2.0 * interaction, rtol=1e-13)
    assert np.allclose(after["forces"], 2.0 * before["forces"], rtol=1e-12)
    with pytest.raises(ValueError, match="29"):
        potential.set_normalization({1: 0.0, 6: 0.0, 8: 0.0}, 1.0, 1.0)
    for scale, degree in ((0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="positive"):
            potential.set_normalization(references, scale, degree)


def test_only_what_is_asked_is_computed_and_atomic_energies_sum_to_the_total():
    potential = make_potential()
    graph = graph_from_atoms(rattled_crystal(), 4.0, dtype=torch.float64)
    inputs = (graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)
    for forces in (False, True):
        for stress in (False, True):
            out = potential(*inputs, forces, stress)
            assert set(out) == {"energy", "energies"} | ({"forces"} if forces else set()) | (
                {"stress"} if stress else set()
            )
            assert out["energies"].sum().item() == pytest.approx(out["energy"].item(), rel=1e-14)
            assert out["energy"].dtype == torch.float64
            assert not any(value.requires_grad for value in out.values())
    assert set(make_potential(forces="direct")(*inputs)) == {"energy", "energies", "forces"}


def test_large_reference_energies_do_not_cost_precision_in_float32():
    potential, atoms = make_potential(), rattled_molecule()
    exact = evaluate(potential, atoms)["energy"].item()
    for parameter in potential.parameters():
        parameter.data = parameter.data.float()
    graph = graph_from_atoms(atoms, 4.0, dtype=torch.float32)
    out = potential(graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)
    assert abs(exact) > 4000.0  # float32 would resolve 5e-4 eV here
    assert out["energy"].item() == pytest.approx(exact, abs=rounding(torch.float32))  # bonding is of order 1 eV
    assert out["forces"].dtype == torch.float32


def test_training_mode_keeps_the_graph_of_the_forces_and_loss_gradients_are_right():
    potential = make_potential().train()
    parameter = potential.backbone.blocks[0].attention.merge.radial.input.weight.requires_grad_(True)
    atoms = Atoms("CO", [[0, 0, 0], [0.3, 0.4, 1.0]])
    graph = graph_from_atoms(atoms, 4.0, dtype=torch.float64)
    inputs = (graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)

    def loss() -> torch.Tensor:
        out = potential(*inputs)
        return out["forces"].square().sum() + out["energy"].sum()

    loss().backward()
    step, analytic = 1e-5, parameter.grad[0, 3].item()
    with torch.no_grad():
        parameter[0, 3] += step
    upper = loss().item()
    with torch.no_grad():
        parameter[0, 3] -= 2 * step
    assert (upper - loss().item()) / (2 * step) == pytest.approx(analytic, rel=1e-5)


def test_second_derivatives_by_autograd_agree_with_differences_of_forces():
    potential, atoms = make_potential(), Atoms("OCO", [[0, 0, 0], [0.1, 1.2, 0], [0, 2.4, 0.2]])
    graph = graph_from_atoms(atoms, 4.0, dtype=torch.float64)

    def forces(positions: torch.Tensor) -> torch.Tensor:
        return potential(positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)["forces"]

    hessian = -torch.autograd.functional.jacobian(forces, graph.positions).reshape(9, 9)
    shift = torch.zeros(9, dtype=torch.float64)
    shift[4] = 1e-5
    moved = shift.view(3, 3)
    column = -(forces(graph.positions + moved) - forces(graph.positions - moved)).reshape(9) / 2e-5
    assert torch.allclose(hessian, hessian.T, atol=1e-10 * hessian.norm().item())
    assert torch.allclose(hessian[:, 4], column, atol=1e-6 * hessian.norm().item())


def test_a_model_with_a_dipole_hands_its_energies_to_one_without():
    published, atoms = {"norm": "layer_norm_sh", "feed_forward": "grid_mlp"}, rattled_molecule()
    whole, plain = make_potential(properties=("dipole",), **published), make_potential(seed=1, **published)
    assert not whole.backbone.scalars_only
    assert plain.backbone.scalars_only
    missing, _ = plain.load_state_dict(scalar_part(plain, whole.state_dict()), strict=False)
    assert missing == []
    assert np.allclose(evaluate(plain, atoms)["energies"], evaluate(whole, atoms)["energies"], rtol=1e-13)


def test_direct_pre_training_hands_its_energies_to_the_conservative_model():
    # with the published norm and feed-forward network, whose l = 0 rows read l = 0 only
    published, atoms = {"norm": "layer_norm_sh", "feed_forward": "grid_mlp"}, rattled_molecule()
    direct, conservative = make_potential(forces="direct", **published), make_potential(seed=1, **published)
    weights = scalar_part(conservative, direct.state_dict())
    missing, unexpected = conservative.load_state_dict(weights, strict=False)
    assert missing == []
    # what makes forces, and what makes l > 0 of the last block
    assert any(name.startswith("force_head.") for name in unexpected)
    assert all(
        name.startswith("force_head.") or name.startswith("backbone.blocks.1.attention.conv") for name in unexpected
    )
    assert np.allclose(evaluate(conservative, atoms)["energies"], evaluate(direct, atoms)["energies"], rtol=1e-13)
