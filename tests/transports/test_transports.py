"""What holds for every transport of tensor clouds: symmetries, padding, losses, scripted samplers, wrong use."""

from typing import Any, Tuple

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.spatial.transform import Rotation
from support.exact_networks import best_network, gaussian_mean
from torch import Tensor, nn

from mlff.transports import (
    EndpointConfig,
    EndpointTransport,
    FollmerConfig,
    FollmerTransport,
    Transport,
    TransportConfig,
    TwoSidedConfig,
    TwoSidedTransport,
    build_transport,
)
from mlff.transports.base import Motion

CONFIGS = {
    "follmer": FollmerConfig(position_noise=0.7, vector_noise=0.3),
    "follmer, linear": FollmerConfig(quadratic=False),
    "follmer, Euler": FollmerConfig(heun=False),
    "follmer, exponential": FollmerConfig(exponential=True),
    "follmer, linear, exponential": FollmerConfig(quadratic=False, exponential=True),
    "follmer, churn": FollmerConfig(churn=0.3),
    "follmer, exponential, churn": FollmerConfig(exponential=True, churn=0.3),
    "follmer, exponential, early": FollmerConfig(exponential=True, early=0.4),
    "endpoint": EndpointConfig(),
    "two-sided": TwoSidedConfig(vector_noise=0.2),
    "two-sided, quadratic": TwoSidedConfig(gamma="quadratic", epsilon=3.0),
    "two-sided, as published": TwoSidedConfig(
        gamma="quadratic", epsilon=1.0, window=(0.1, 0.9), heun=False, grid_power=1.0
    ),
}
CHANNELS = 15
every_transport = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


class Equivariant(nn.Module):
    """Rotation-equivariant and not trivial: mixes channels by invariants of state and source, with a cross product.

    Positions are read from the centre, padding adds nothing, and mirror images are told apart.
    """

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.num_outputs = num_outputs
        self.mix = nn.Parameter(0.3 * torch.randn(num_outputs, 3, CHANNELS, CHANNELS, generator=generator).double())

    def forward(self, state: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        gram = torch.einsum("...nic,...nid->...cd", state, condition)
        gate = torch.tanh(gram * 0.01 + time[..., None, None])
        outputs = []
        for k in range(self.num_outputs):
            mix = self.mix[k].to(state.dtype)
            turned = torch.linalg.cross(state, condition, dim=-2) * 0.1
            own = torch.matmul(state, (mix[0] * gate).unsqueeze(-3))
            outputs.append(own + torch.matmul(condition, mix[1]) + torch.matmul(turned, mix[2]))
        return torch.stack(outputs)


def case(config: Any, batch: int = 2, residues: int = 4, dtype: torch.dtype = torch.float64) -> Tuple[Any, ...]:
    """transport, network, a masked and centred source, its mask, and noises for five steps."""
    transport = build_transport(config)
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(batch, residues, CHANNELS, generator=generator) < 0.7
    mask[..., 0] = True
    source = transport.project(2.0 * torch.randn(batch, residues, 3, CHANNELS, generator=generator).to(dtype), mask)
    noise = [transport.draw_noise(source, mask, generator) for _ in range(transport.num_noises(5))]
    return transport, Equivariant(transport.num_outputs), source, mask, noise


@every_transport
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_rotated_source_and_noise_give_the_rotated_sample(config: Any, dtype: torch.dtype, tolerance: float) -> None:
    transport, network, source, mask, noise = case(config, dtype=dtype)
    turn = torch.from_numpy(Rotation.from_euler("xyz", [0.4, -1.1, 2.0]).as_matrix()).to(dtype)
    sample = transport.sample(network, source, mask, source, steps=5, noise=noise)
    turned = transport.sample(network, turn @ source, mask, turn @ source, steps=5, noise=[turn @ z for z in noise])
    assert sample.abs().max() > 1.0
    assert (turned - turn @ sample).abs().max() < tolerance * sample.abs().max()
    mirrored = transport.sample(network, -source, mask, -source, steps=5, noise=[-z for z in noise])
    assert (mirrored + sample).abs().max() > 1e-3


@every_transport
def test_samples_are_centred_and_masked_and_forget_the_place_of_the_source(config: Any) -> None:
    transport, network, source, mask, noise = case(config)
    sample = transport.sample(network, source, mask, source, steps=5, noise=noise)
    assert not sample[~mask.unsqueeze(-2).expand_as(sample)].any()
    torch.testing.assert_close(sample[..., 0].mean(-2), torch.zeros(2, 3, dtype=torch.float64), rtol=0, atol=1e-12)
    moved = torch.cat([source[..., :1] + 7.0, source[..., 1:]], dim=-1)
    torch.testing.assert_close(transport.sample(network, moved, mask, source, steps=5, noise=noise), sample)


@every_transport
def test_padding_and_batch_do_not_matter(config: Any) -> None:
    transport, network, source, mask, noise = case(config)
    sample = transport.sample(network, source, mask, source, steps=5, noise=noise)
    padded, *padded_noise = (torch.cat([x, torch.zeros_like(x)], dim=-3) for x in (source, *noise))
    padded_mask = torch.cat([mask, torch.zeros_like(mask)], dim=-2)
    out = transport.sample(network, padded, padded_mask, padded, steps=5, noise=padded_noise)
    torch.testing.assert_close(out[:, :4], sample)
    assert not out[:, 4:].any()
    single = transport.sample(network, source[1], mask[1], source[1], steps=5, noise=[z[1] for z in noise])
    torch.testing.assert_close(single, sample[1])


class Jump(nn.Module):
    """The loop of ``Transport.sample`` as an exported program has it."""

    def __init__(self, transport: Transport, network: nn.Module) -> None:
        super().__init__()
        self.transport = transport
        self.network = network

    def forward(self, source: Tensor, mask: Tensor, steps: int) -> Tensor:
        state = self.transport.start(source, mask, torch.randn_like(source))
        last = Motion(state, state)
        for stage in range(self.transport.num_stages(steps)):
            time = torch.full(source.shape[:-3], self.transport.time(stage, steps), dtype=source.dtype)
            outputs = self.network(last.state, time, source)
            noise = torch.randn_like(source) if self.transport.needs_noise(stage) else source
            last = self.transport.advance(stage, steps, source, last, outputs, mask, noise)
        return last.state


@every_transport
@pytest.mark.parametrize("steps", [1, 6])
def test_scripted_loop_equals_the_eager_one(config: Any, steps: int) -> None:
    transport, network, source, mask, _ = case(config, dtype=torch.float32)
    jump = Jump(transport, network)
    scripted = torch.jit.script(jump)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = jump(source, mask, steps)
        torch.manual_seed(3)
        torch.testing.assert_close(scripted(source, mask, steps), expected)
        # and it is the loop of sample
        torch.manual_seed(3)
        start = torch.randn_like(source)
        noise = [start] if transport.random_start else []
        noise += [torch.randn_like(source) for _ in range(transport.num_noises(steps) - len(noise))]
    torch.testing.assert_close(transport.sample(network, source, mask, source, steps=steps, noise=noise), expected)


@every_transport
def test_a_seed_repeats_a_sample_and_two_seeds_differ(config: Any) -> None:
    transport, network, source, mask, _ = case(config)
    first, again, other = (
        transport.sample(network, source, mask, source, steps=3, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.01


# --- training ---

SHAPE = (2, 3, 2)


def gaussian_pairs(transport: Transport, count: int) -> Tuple[Tensor, ...]:
    """state, time, source, targets of one time, best outputs, for x1 ~ N(0.8 x0, S)."""
    generator = torch.Generator().manual_seed(2)
    root = torch.randn(12, 12, generator=generator).double() * 0.2
    jump = 0.8 * torch.eye(12, dtype=torch.float64)
    source, z, noise = (torch.randn(count, *SHAPE, generator=generator).double() for _ in range(3))
    target = 0.8 * source + (z.flatten(1) @ root.T).view_as(source)
    time = torch.full((count,), 0.37, dtype=torch.float64)
    state = transport.interpolate(source, target, time, noise)
    best = best_network(transport, gaussian_mean(jump, root @ root.T))(state, time, source)
    return state, time, source, target, transport.targets(source, target, time, noise), best


TRANSPORTS = [
    FollmerTransport([0.5, 0.3], centred=False),
    FollmerTransport([0.5, 0.3], centred=False, quadratic=False),
    EndpointTransport([0.5, 0.3], centred=False),
    TwoSidedTransport([0.5, 0.3], centred=False),
    TwoSidedTransport([0.5, 0.3], centred=False, gamma="quadratic", epsilon=3.0),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_conditional_expectation_has_the_least_loss(transport: Transport) -> None:
    state, _, source, _, targets, best = gaussian_pairs(transport, 4000)
    mask = torch.ones(4000, 2, 2, dtype=torch.bool)
    least = transport.loss(best, targets, mask)
    assert least.shape == (transport.num_outputs, 2)
    for direction in (0.3 * best, 0.3 * state.expand_as(best), 0.3 * source.expand_as(best)):
        for sign in (-1, 1):
            assert (transport.loss(best + sign * direction, targets, mask) > least).all()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_endpoint_of_the_best_outputs_is_unbiased_and_that_of_the_targets_exact(transport: Transport) -> None:
    state, time, source, target, targets, best = gaussian_pairs(transport, 4000)
    torch.testing.assert_close(transport.endpoint(source, state, targets, time), target)
    error = transport.endpoint(source, state, best, time) - target
    assert error.square().mean() < 0.9 * (0.8 * source - target).square().mean()  # better than x0 alone tells
    assert ((error * state).mean(0) / (error.std(0) * state.std(0))).abs().max() < 0.08  # 5 / √4000


@every_transport
def test_loss_is_a_mean_over_existing_atoms_in_units_of_the_noise(config: Any) -> None:
    transport, _, source, mask, _ = case(config)
    targets = torch.stack([source] * transport.num_outputs)
    assert not transport.loss(targets, targets, mask).any()
    error = transport.draw_noise(source, mask, torch.Generator().manual_seed(4))
    outputs = targets + error
    loss = transport.loss(outputs, targets, mask)
    scale = transport.output_scales(outputs).expand_as(outputs)[0]
    squares = (error / scale).square().sum(-2)
    torch.testing.assert_close(loss[0, 0], squares[..., 0].mean())
    torch.testing.assert_close(loss[0, 1], squares[..., 1:][mask[..., 1:]].mean())
    pad = [torch.cat([x, torch.ones_like(x)], dim=-3) for x in (outputs, targets)]
    padded_mask = torch.cat([mask, torch.zeros_like(mask)], dim=-2)
    padded_targets = transport.project(pad[1], padded_mask)
    torch.testing.assert_close(transport.loss(pad[0], padded_targets, padded_mask), loss)
    shifted = outputs + torch.tensor([5.0] + [0.0] * (CHANNELS - 1), dtype=torch.float64)
    torch.testing.assert_close(transport.loss(shifted, targets, mask), loss)  # where the cloud is does not count


@every_transport
def test_times_and_noise_of_training(config: Any) -> None:
    transport, _, source, mask, _ = case(config, batch=500)
    generator = torch.Generator().manual_seed(5)
    times = transport.draw_times(source, generator)
    assert times.shape == (500,)
    low, high = transport.time_range
    assert low <= times.min() < 0.02
    assert 0.98 < times.max() <= high
    noise = transport.draw_noise(source, mask, generator)
    target = transport.draw_noise(source, mask, generator)
    for value in (
        transport.interpolate(source, target, times, noise),
        *transport.targets(source, target, times, noise),
    ):
        assert value.isfinite().all()
        torch.testing.assert_close(transport.project(value, mask), value)  # pairs that are centred stay so
    # Independent of the frame: three of four degrees of freedom of four positions are left.
    assert noise[..., 0].var() == pytest.approx(0.75, abs=0.05)
    assert noise[..., 1:].square().sum() / (3 * mask[..., 1:].sum()) == pytest.approx(1.0, abs=0.05)


def test_times_of_training_lie_as_their_power_says() -> None:
    transport = FollmerTransport([0.5], time_power=2.0)
    times = transport.draw_times(torch.zeros(20_000, 1, 3, 1, dtype=torch.float64))
    for share in (0.1, 0.5, 0.9):  # 1 - t = u²
        assert (1.0 - times < share).double().mean() == pytest.approx(share**0.5, abs=0.02)


def test_early_steps_lead_to_the_middle_and_are_left_out_of_few() -> None:
    transport = FollmerTransport([0.5], early=0.42)
    assert [transport.grid(step, 12) for step in range(6)] == pytest.approx([0, 1 / 6, 1 / 4, 1 / 3, 5 / 12, 1 / 2])
    assert transport.grid(12, 12) == 1.0
    plain = FollmerTransport([0.5])
    assert [transport.grid(step, 3) for step in range(4)] == [plain.grid(step, 3) for step in range(4)]


@pytest.mark.parametrize("noise", [[0.5], [0.5, 0.2], [0.5, 0.2, 0.2, 0.2], [0.5, 0.2, 0.2, 0.2, 0.9]])
def test_the_last_noise_counts_for_all_further_channels(noise: list[float]) -> None:
    """States of any number of channels and rows."""
    transport = EndpointTransport(noise, centred=False)
    source, mask = torch.zeros(6, 5, 4, dtype=torch.float64), torch.ones(6, 4, dtype=torch.bool)
    start = transport.start(source, mask, torch.ones_like(source))
    expected = [0.5] * 4 if noise == [0.5] else [0.5, 0.2, 0.2, 0.2]
    assert torch.equal(start, torch.tensor(expected, dtype=torch.float64).expand_as(start))


# --- wrong use ---


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FollmerTransport([]), "one or more positive numbers"),
        (lambda: FollmerTransport([0.5, 0.0]), "one or more positive numbers"),
        (lambda: EndpointTransport([0.5], grid_power=0.5), "grid_power"),
        (lambda: FollmerTransport([0.5], time_power=0.5), "time_power"),
        (lambda: FollmerTransport([0.5], grid_power=9.0), "between 1 and 8"),
        (lambda: FollmerTransport([0.5], churn=1.0), "churn must be"),
        (lambda: FollmerTransport([0.5], churn=0.2, heun=False), "churn needs"),
        (lambda: FollmerTransport([0.5], early=0.6), "early must be"),
        (lambda: TwoSidedTransport([0.5], gamma="sine"), "gamma must be"),
        (lambda: TwoSidedTransport([0.5], epsilon=0.0), "without noise"),
        (lambda: TwoSidedTransport([0.5], window=(0.9, 0.1)), "window"),
    ],
)
def test_transports_that_cannot_work_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_wrong_numbers_of_steps_and_noises() -> None:
    transport, network, source, mask, noise = case(FollmerConfig())
    with pytest.raises(ValueError, match="at least one step"):
        transport.sample(network, source, mask, source, steps=0)
    with pytest.raises(ValueError, match="6 steps take 6 noises, got 5"):
        transport.sample(network, source, mask, source, steps=6, noise=noise)


def test_configurations_are_told_apart_by_kind() -> None:
    adapter = TypeAdapter(TransportConfig)
    for config in CONFIGS.values():
        assert adapter.validate_python(config.model_dump()) == config
    config = adapter.validate_python({"kind": "endpoint", "position_noise": 0.2, "vector_noise": 0.1})
    transport = build_transport(config)
    assert isinstance(transport, EndpointTransport)
    assert transport.sigma_of(torch.zeros(4, 3, CHANNELS).double()).tolist() == [0.2] + [0.1] * (CHANNELS - 1)
    with pytest.raises(ValidationError, match="window must be"):
        adapter.validate_python({"kind": "two_sided", "window": (0.5, 0.5)})
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "endpoint", "quadratic": True})
