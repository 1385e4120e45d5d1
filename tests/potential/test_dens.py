"""The model with DeNS: what it leaves alone, its symmetries, its forces."""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation
from support.physics_models import SMALL, make_potential, rattled_crystal, rattled_molecule

from mlff.equiformer import EquiformerConfig
from mlff.graph import AtomicGraph, Quantity, graph_from_atoms
from mlff.heads import VectorHead
from mlff.irreps import SO3Linear, node_degrees, spherical_harmonics
from mlff.potential import DensPotential, Potential, PotentialConfig
from mlff.testing import DerivativeLaws, LocalityLaws, ScriptLaws

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


NOISE = Quantity("noise", "atom", "1o", "1")


class DensLaws(LocalityLaws):
    """Structures with encoded forces on some of their atoms; the noise is one more output."""

    def potential(self, model: DensPotential) -> Potential:
        return model.potential

    def row(self, name: str) -> Quantity:
        return NOISE if name == "noise" else super().row(name)

    def examples(self, model: DensPotential) -> dict[str, Atoms]:
        examples = super().examples(model)
        rng = np.random.default_rng(1)
        for atoms in examples.values():
            atoms.arrays["encoded"] = rng.normal(size=(len(atoms), 3))
            atoms.arrays["corrupted"] = np.arange(len(atoms)) % 3 != 1
            atoms.arrays["encoded"][2:3] = 0.0  # a corrupted atom that feels nothing
        return examples

    def moved(self, given: Atoms, matrix: torch.Tensor, shift: torch.Tensor) -> Atoms:
        atoms = super().moved(given, matrix, shift)
        atoms.arrays["encoded"] = given.arrays["encoded"] @ matrix.numpy().T
        return atoms

    def run(self, program, graph: AtomicGraph, structures: list[Atoms], stress: bool) -> Tensors:
        forces, corrupted = [], []
        for atoms in structures:  # those that laws make up have nothing corrupted
            forces.append(atoms.arrays.get("encoded", np.zeros((len(atoms), 3))))
            corrupted.append(atoms.arrays.get("corrupted", np.zeros(len(atoms), dtype=bool)))
        given = (torch.from_numpy(np.concatenate(values)) for values in (forces, corrupted))
        return {name: value.detach() for name, value in program(graph.inputs, *given, stress).items()}


class TestConservative(DensLaws, DerivativeLaws):
    """Forces are the gradient at fixed encoding. An energy that reads all degrees shares its last features."""

    @pytest.fixture(params=["smooth", "lmax 3, mmax 2, sphere product on edges", "feed_forward"])
    def model(self, request) -> DensPotential:
        if request.param == "feed_forward":
            dens = make_dens(energy_head="feed_forward")  # with the product network
            assert dens.noise_norm is None
            return dens
        return make_dens(variant=request.param)


class TestDirect(DensLaws):
    @pytest.fixture(params=["smooth", "lmax 3, mmax 2, sphere product on edges"])
    def model(self, request) -> DensPotential:
        return make_dens("direct", request.param)


class TestScript(DensLaws, ScriptLaws[Atoms]):
    @pytest.fixture(params=["conservative", "direct"])
    def model(self, request) -> DensPotential:
        return make_dens(request.param, num_layers=1)


class TestWithoutParity(DensLaws):
    parity = False

    @pytest.fixture(params=["conservative", "direct"])
    def model(self, request) -> DensPotential:
        return make_dens(request.param, "smooth without parity")


def test_encoded_forces_have_a_direction(dens):
    graph, forces, corrupted = batch()
    turned = forces @ torch.tensor(Rotation.random(random_state=2).as_matrix())
    out, other = (dens(graph.inputs, given, corrupted)["energies"] for given in (forces, turned))
    assert not torch.allclose(other, out, rtol=1e-9)


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
