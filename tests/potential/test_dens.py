"""The model with DeNS: what it leaves alone, its symmetries, its forces."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support.physics_models import SMALL, make_potential, rattled_crystal, rattled_molecule

from mlff.equiformer import EquiformerConfig
from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.heads import VectorHead
from mlff.irreps import SO3Linear, node_degrees, spherical_harmonics
from mlff.potential import DensPotential, Potential, PotentialConfig

Tensors = dict[str, torch.Tensor]


def make_dens(forces: str = "conservative", variant: str = "smooth", **changes) -> DensPotential:
    torch.manual_seed(5)
    dens = DensPotential(make_potential(variant, forces=forces, **changes)).eval()
    for module in (dens.force_encoding, dens.noise_norm, dens.noise_head):
        for parameter in [] if module is None else module.parameters():
            parameter.data = (parameter.data + 0.1 * torch.randn_like(parameter.data)).double()
    return dens.requires_grad_(False)


def batch() -> tuple[AtomicGraph, torch.Tensor, torch.Tensor]:
    """A periodic and a free structure, forces of the corrupted atoms, and which these are."""
    graph = AtomicGraph.collate(
        [graph_from_atoms(atoms, 4.0, dtype=torch.float64) for atoms in (rattled_crystal(), rattled_molecule())]
    )
    corrupted = torch.tensor([True, False] + [True, True, False] * 3)
    forces = torch.randn(11, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    forces[2] = 0.0  # a corrupted atom that feels nothing
    return graph, forces * corrupted[:, None], corrupted


@pytest.fixture(params=["conservative", "direct"])
def dens(request) -> DensPotential:
    return make_dens(request.param)


def test_forces_are_encoded_as_component_normalised_harmonics_times_their_norm():
    dens = make_dens(lmax=3, mmax=1)
    forces = torch.cat([torch.randn(20, 3), torch.eye(3), -torch.eye(3), torch.zeros(1, 3)]).double()
    norm = torch.linalg.vector_norm(forces, dim=1, keepdim=True)
    harmonics = torch.from_numpy(spherical_harmonics(3, torch.nn.functional.normalize(forces, dim=1).numpy()))
    expected = harmonics * ((2.0 * node_degrees(3).double() + 1.0) / 3.0).sqrt() * norm
    assert torch.allclose(dens.harmonics(forces)[:, :, 0], expected, rtol=0, atol=1e-12)
    assert torch.allclose(dens.harmonics(forces)[:, 1:4, 0], forces, atol=1e-13)


def test_nothing_corrupted_is_the_plain_potential(dens):
    graph, forces, corrupted = batch()
    plain = dens.potential(*graph.inputs)
    out = dens(graph.inputs, forces, torch.zeros_like(corrupted))
    for key, value in plain.items():
        torch.testing.assert_close(out[key], value, rtol=1e-12, atol=1e-12)
    told = dens(graph.inputs, forces, corrupted)
    assert not torch.allclose(told["energy"], plain["energy"], atol=1e-6)


def test_a_corrupted_atom_is_marked_even_without_a_force_unless_forces_are_not_encoded(dens):
    graph, forces, corrupted = batch()
    plain = dens.potential(*graph.inputs)["energy"]
    assert not torch.allclose(dens(graph.inputs, 0.0 * forces, corrupted)["energy"], plain, atol=1e-6)
    blind = DensPotential(dens.potential, encode_forces=False).double().eval()
    torch.testing.assert_close(blind(graph.inputs, forces, corrupted)["energy"], plain, rtol=1e-14, atol=0)
    assert not any(name.startswith("force_encoding") for name, _ in blind.named_parameters())


@pytest.mark.parametrize("variant", ["smooth", "smooth without parity", "lmax 3, mmax 2, sphere product on edges"])
@pytest.mark.parametrize("kind", ["conservative", "direct"])
def test_rotating_structure_and_encoded_forces_rotates_forces_and_noise(kind, variant):
    dens = make_dens(kind, variant)
    graph, forces, corrupted = batch()
    matrix = torch.tensor(Rotation.random(random_state=2).as_matrix())
    turned = graph.replace(positions=graph.positions @ matrix.T, cell=graph.cell @ matrix.T)
    out, rotated = (dens(g.inputs, f, corrupted) for g, f in ((graph, forces), (turned, forces @ matrix.T)))
    assert torch.allclose(rotated["energies"], out["energies"], rtol=1e-11)
    assert torch.linalg.vector_norm(out["noise"]) > 0.01
    for key in ("forces", "noise"):
        error = torch.linalg.vector_norm(rotated[key] - out[key] @ matrix.T)
        assert error <= 1e-10 * torch.linalg.vector_norm(out[key])
    wrong = dens(turned.inputs, forces, corrupted)
    assert not torch.allclose(wrong["energies"], out["energies"], rtol=1e-9)


def test_mirror_image_of_structure_and_forces_mirrors_the_noise():
    dens = make_dens()
    graph, forces, corrupted = batch()
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    image = graph.replace(positions=graph.positions @ mirror, cell=graph.cell @ mirror)
    out, reflected = dens(graph.inputs, forces, corrupted), dens(image.inputs, forces @ mirror, corrupted)
    assert torch.allclose(reflected["energies"], out["energies"], rtol=1e-11)
    assert torch.allclose(reflected["noise"], out["noise"] @ mirror, atol=1e-10)


def test_a_conservative_model_whose_energy_reads_all_degrees_shares_its_last_features():
    dens = make_dens(energy_head="feed_forward")  # with the product network
    assert dens.noise_norm is None
    graph, forces, corrupted = batch()
    matrix = torch.tensor(Rotation.random(random_state=3).as_matrix())
    turned = graph.replace(positions=graph.positions @ matrix.T, cell=graph.cell @ matrix.T)
    out, rotated = (dens(g.inputs, f, corrupted) for g, f in ((graph, forces), (turned, forces @ matrix.T)))
    assert torch.allclose(rotated["noise"], out["noise"] @ matrix.T, atol=1e-10)


def test_structures_of_a_batch_do_not_see_each_other(dens):
    graph, forces, corrupted = batch()
    together = dens(graph.inputs, forces, corrupted)
    first, second = graph.split()
    atoms = len(first.numbers)
    alone = dens(second.inputs, forces[atoms:], corrupted[atoms:])
    for key in ("energies", "forces", "noise"):
        assert torch.allclose(together[key][atoms:], alone[key], rtol=1e-10, atol=1e-12)


def test_conservative_forces_are_the_gradient_at_fixed_encoding():
    dens = make_dens()
    graph, forces, corrupted = batch()
    out = dens(graph.inputs, forces, corrupted)["forces"]
    step = 1e-4
    for atom, axis in ((0, 0), (1, 2), (3, 1), (10, 0)):
        energies = []
        for sign in (1, -1):
            positions = graph.positions.clone()
            positions[atom, axis] += sign * step
            energies.append(dens(graph.inputs._replace(positions=positions), forces, corrupted)["energy"].sum().item())
        assert out[atom, axis].item() == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-6)


def test_stress_comes_with_it():
    dens = make_dens()
    graph, forces, _ = batch()
    periodic = graph.split()[0]
    none = torch.zeros(2, dtype=torch.bool)
    out = dens(periodic.inputs, forces[:2], none, True)
    torch.testing.assert_close(out["stress"], dens.potential(*periodic.inputs, True, True)["stress"])


@pytest.mark.parametrize("kind", ["conservative", "direct"])
def test_the_potential_is_the_same_with_and_without(kind):
    config = PotentialConfig(species=("H", "C", "O"), forces=kind, backbone=SMALL)
    torch.manual_seed(3)
    plain = Potential(config)
    torch.manual_seed(3)
    dens = DensPotential(Potential(config))
    own, inner = plain.state_dict(), dens.potential.state_dict()
    assert list(own) == list(inner)
    assert all(torch.equal(own[name], inner[name]) for name in own)
    outside = {name for name, _ in dens.named_parameters() if not name.startswith("potential.")}
    assert {name.split(".")[0] for name in outside} <= {"force_encoding", "noise_norm", "noise_head"}


def test_it_scripts_and_agrees_with_eager(dens):
    graph, forces, corrupted = batch()
    scripted = torch.jit.script(dens)
    out, expected = (module(graph.inputs, forces, corrupted) for module in (scripted, dens))
    for key, value in expected.items():
        assert torch.allclose(out[key], value, rtol=1e-12, atol=1e-12)


def test_every_added_part_that_can_reach_a_vector_learns(dens):
    graph, forces, corrupted = batch()
    dens.train().requires_grad_(True)
    out = dens(graph.inputs, forces, corrupted)
    (out["noise"].square().sum() + out["forces"].square().sum()).backward()
    added = {name: p for name, p in dens.named_parameters() if not name.startswith("potential.")}
    silent = {name for name, p in added.items() if p.grad is None or not bool(p.grad.any())}
    # with gates, |m| = 2 feeds l = 2 only, and the bias of the projection l = 0
    assert silent == {
        "noise_head.attention.conv1.linears.1.weight",
        "noise_head.attention.conv2.linears.1.weight",
        "noise_head.attention.projection.bias",
    }


def test_published_number_of_parameters():
    """OC22 with DeNS: 127.51 M, which is 121.53 M of EquiformerV2 and what is added (arXiv:2403.09549)."""
    config = EquiformerConfig.model_validate({"preset": "equiformer-v2-121M-oc22"})
    added = (SO3Linear(1, config.channels, config.lmax), VectorHead(config, 90))
    count = sum(p.numel() for module in added for p in module.parameters())
    assert round((121.53e6 + count) / 1e6, 2) == 127.51


def test_float32_inputs_and_parameters():
    dens = make_dens().float()
    graph, forces, corrupted = batch()
    exact = make_dens()(graph.inputs, forces, corrupted)["noise"].numpy()
    out = dens(graph.to(dtype=torch.float32).inputs, forces, corrupted)["noise"]
    assert out.dtype == torch.float32
    assert np.allclose(out.numpy(), exact, atol=1e-4)
