"""The jump model: its laws, padding, several chains, which residues are connected."""

import pytest
import torch
from torch import Tensor

from mlff.equijump.model import JumpConfig, JumpModel
from mlff.equijump.network import JumpNetworkConfig
from mlff.proteins import TensorCloud
from mlff.proteins.residues import NUM_CHANNELS, RESIDUE_NAMES, channel_names
from mlff.testing import CloudLaws, with_random_weights
from mlff.transports import EndpointConfig, FollmerConfig, TwoSidedConfig

TRANSPORTS = {
    "follmer": FollmerConfig(),
    "follmer, churn": FollmerConfig(exponential=True, churn=0.3, early=0.4),
    "endpoint": EndpointConfig(),
    "two-sided": TwoSidedConfig(),
}
every_transport = pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS.keys())
STEPS = 3


def build(transport=None, **network) -> JumpModel:
    torch.manual_seed(0)
    sizes = {"channels": 12, "message_channels": 8, "layers": 2, "conditioner_layers": 1, "num_radial": 8}
    sizes |= {"atom_channels": 6, "atom_radial": 8} | network
    config = JumpConfig(network=JumpNetworkConfig(**sizes), transport=transport or FollmerConfig(), steps=STEPS)
    return with_random_weights(JumpModel(config, [10.0, 20.0]), width=0.05)


def chain(names: str, seed: int, chains: list[int] | None = None) -> TensorCloud:
    """Residues along a line with random vectors."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.tensor([RESIDUE_NAMES.index(name) for name in names.split()])
    mask = torch.tensor([[bool(name) for name in channel_names(int(token))] for token in tokens])
    mask[:, -1] = False
    vectors = 1.5 * torch.randn(len(tokens), 3, NUM_CHANNELS, generator=generator, dtype=torch.float64)
    line = torch.arange(len(tokens), dtype=torch.float64)[:, None] * torch.tensor([3.8, 0.0, 0.0]).double()
    vectors[..., 0] = line + torch.randn(len(tokens), 3, generator=generator, dtype=torch.float64)
    numbers = torch.tensor(chains if chains is not None else [0] * len(tokens))
    return TensorCloud(vectors * mask.unsqueeze(1), tokens, mask, numbers)


def jump(model: JumpModel, cloud: TensorCloud, noise: Tensor, lag: float = 10.0) -> Tensor:
    """The coordinates after a jump of a batch."""
    lags = torch.full((len(cloud.residues),), lag, dtype=cloud.coordinates.dtype)
    return model(cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains, lags, noise)


def draw(model: JumpModel, cloud: TensorCloud, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (model.num_noises(STEPS), *cloud.coordinates.shape)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def batch() -> TensorCloud:
    return TensorCloud.collate([chain("ACE ALA TRP NME", 0), chain("GLY ARG PRO", 1), chain("ACE SER NME", 2)])


NETWORKS = {"degree 2, no pairs of atoms": {"lmax": 2, "atom_channels": 0}}


class TestLaws(CloudLaws):
    @pytest.fixture(params=[*TRANSPORTS, *NETWORKS])
    def model(self, request) -> JumpModel:
        return build(TRANSPORTS.get(request.param), **NETWORKS.get(request.param, {}))


def test_weights_without_pairs_of_atoms_are_a_start_for_a_network_with_them() -> None:
    plain, cloud = build(atom_channels=0), batch()
    torch.manual_seed(1)
    network = JumpNetworkConfig(**(plain.config.network.model_dump() | {"atom_channels": 6}))
    model = JumpModel(plain.config.model_copy(update={"network": network}), [10.0, 20.0]).double()
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert missing
    assert all(".atom" in name for name in missing)
    noise = draw(model, cloud)
    with torch.no_grad():
        torch.testing.assert_close(jump(model, cloud, noise), jump(plain, cloud, noise), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", [{}, {"num_neighbors": 1, "sequence_range": 1}])
def test_pairs_are_all_atoms_of_connected_residues(sizes: dict[str, int]) -> None:
    """Every ordered pair once with the offset of its residues, none with itself or with an atom that is not there."""
    model, cloud = build(**sizes), TensorCloud.collate([chain("ACE ALA TRP SER GLY NME", 0), chain("GLY ARG PRO", 1)])
    graph = model.network.graph(cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains)
    found = list(zip(graph.atom_source.tolist(), graph.atom_target.tolist(), graph.atom_offset.tolist(), strict=True))
    masks = cloud.atom_mask.flatten(0, 1)[graph.nodes]
    atoms = [
        [node * NUM_CHANNELS + channel for channel in torch.nonzero(mask).flatten().tolist()]
        for node, mask in enumerate(masks)
    ]
    within = 2 * model.config.network.sequence_range + 2
    edges = list(zip(graph.source.tolist(), graph.target.tolist(), graph.offset.tolist(), strict=True))
    assert (len(edges) < 6 * 5 + 3 * 2) == bool(sizes)
    edges += [(node, node, within) for node in range(len(masks))]
    expected = {(a, b, offset) for j, i, offset in edges for a in atoms[j] for b in atoms[i] if a != b}
    assert set(found) == expected
    assert len(found) == len(expected)


def test_masked_atoms_are_zero() -> None:
    model, cloud = build(), batch()
    out = jump(model, cloud, draw(model, cloud))
    assert (out * ~cloud.atom_mask.unsqueeze(-2) == 0).all()


def test_the_centre_of_the_anchors_stays() -> None:
    model = build()
    cloud = batch().translate(torch.tensor([1.0, 2.0, 3.0]))
    out = cloud.replace(coordinates=jump(model, cloud, draw(model, cloud)))
    torch.testing.assert_close(out.center(), cloud.center(), rtol=0, atol=1e-12)


def test_residues_order_and_breaks_of_chains_matter() -> None:
    model = build()
    one, two = chain("ALA SER ALA VAL", 0, [0, 0, 0, 0]), chain("ALA SER ALA VAL", 0, [0, 0, 1, 1])
    other = chain("ALA SER GLY VAL", 0)
    noise = draw(model, TensorCloud.collate([one]))
    out = [jump(model, TensorCloud.collate([cloud]), noise) for cloud in (one, two, other)]
    assert (out[0] - out[1]).abs().max() > 1e-4
    assert (out[0] - out[2])[..., 2, :, :4].abs().max() > 1e-4


def test_lag_time_matters_and_equal_noise_gives_equal_jumps() -> None:
    model, cloud = build(), batch()
    noise = draw(model, cloud)
    assert torch.equal(jump(model, cloud, noise), jump(model, cloud, noise))
    assert (jump(model, cloud, noise, 20.0) - jump(model, cloud, noise)).abs().max() > 1e-4


def test_only_the_nearest_residues_and_those_along_the_chain_are_connected() -> None:
    model = build(num_neighbors=2, sequence_range=1)
    names = " ".join(["ALA"] * 12)
    cloud = TensorCloud.collate([chain(names, 0)])
    lag = torch.tensor([10.0], dtype=torch.float64)
    graph = model.network.condition(cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains, lag).graph
    distance = torch.cdist(cloud.positions[0], cloud.positions[0]).fill_diagonal_(torch.inf)
    nearest = {(int(j), i) for i in range(12) for j in distance[i].topk(2, largest=False).indices}
    along = {(i, j) for i in range(12) for j in range(12) if abs(i - j) == 1}
    assert set(zip(graph.source.tolist(), graph.target.tolist(), strict=True)) == nearest | along
    degree = torch.bincount(graph.target, minlength=12)
    torch.testing.assert_close(graph.inverse_degree, 1.0 / degree.double())
    offsets = (graph.source - graph.target).clamp(-2, 2)
    expected = torch.where(offsets.abs() <= 1, offsets + 1, torch.full_like(offsets, 3))
    assert torch.equal(graph.offset, expected)


def test_one_residue_alone() -> None:
    model = build()
    cloud = TensorCloud.collate([chain("TRP", 0)])
    out = jump(model, cloud, draw(model, cloud))
    assert torch.isfinite(out).all()
    assert (out - cloud.coordinates).abs().max() > 1e-3


@every_transport
def test_a_jump_is_what_the_transport_samples(transport) -> None:
    """The loop of the exported program against that of the transport."""
    model, cloud = build(transport), batch().centred()
    noise = draw(model, cloud)
    lags = torch.full((3,), 10.0, dtype=torch.float64)
    condition = model.network.condition(cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains, lags)

    def network(state, time, source):
        return model.outputs(state, time, condition, source)

    projected = [model.transport.project(entry, cloud.atom_mask) for entry in noise]
    sample = model.transport.sample(
        network, cloud.coordinates, cloud.atom_mask, cloud.coordinates, STEPS, noise=projected
    )
    torch.testing.assert_close(jump(model, cloud, noise), sample, rtol=0, atol=1e-12)


def test_noise_of_another_length_is_refused() -> None:
    model, cloud = build(), batch()
    with pytest.raises(ValueError, match="noise"):
        jump(model, cloud, draw(model, cloud)[:-1])
