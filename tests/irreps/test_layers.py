"""Equivariance and exactness of the building blocks, in float64."""

import numpy as np
import pytest
import torch
from support.rotations import random_rotation, rotation_about_y, wigner_matrix

from mlff.irreps import (
    GateActivation,
    MergedLayerNorm,
    SeparableLayerNorm,
    SeparableS2Activation,
    SO2Convolution,
    SO3Linear,
    SphereGrid,
    SwiGLUS2Activation,
    edge_degrees,
    exact_resolution,
    m_major_pairs,
    m_major_rows,
    order_sizes,
)

TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def _double_precision_seeded():
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(previous)


def node_rotation(lmax: int) -> torch.Tensor:
    return wigner_matrix(random_rotation(0), lmax)


def roll(lmax: int, mmax: int, angle: float = 0.7) -> torch.Tensor:
    """Rotation about the edge, on the edge layout."""
    rows = m_major_rows(lmax, mmax)
    return wigner_matrix(rotation_about_y(angle), lmax)[rows][:, rows]


def mirror(lmax: int, mmax: int) -> torch.Tensor:
    """Reflection x → −x, a plane through the edge, on features of natural parity: flips the −m rows."""
    return torch.diag(torch.tensor([-1.0 if m < 0 else 1.0 for _, m in m_major_pairs(lmax, mmax)]))


def to_blocks(x: torch.Tensor, lmax: int, mmax: int) -> list[torch.Tensor]:
    return list(x.reshape(len(x), -1).split([n * x.shape[2] for n in order_sizes(lmax, mmax)], dim=1))


def from_blocks(blocks: list[torch.Tensor], channels: int) -> torch.Tensor:
    flat = torch.cat(blocks, dim=1)
    return flat.view(len(flat), -1, channels)


@pytest.mark.parametrize("module", [SO3Linear(5, 7, 3), MergedLayerNorm(3, 5), SeparableLayerNorm(3, 5)])
def test_node_layers_are_equivariant(module):
    module = module.double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x, rotation = torch.randn(6, 16, 5), node_rotation(3)
    assert torch.allclose(module(rotation @ x), rotation @ module(x), atol=TOLERANCE)


@pytest.mark.parametrize("module", [MergedLayerNorm(3, 8), SeparableLayerNorm(3, 8)])
def test_norms_normalise(module):
    y = module.double()(100.0 * torch.randn(50, 16, 8) + 30.0)
    per_degree = torch.stack([part.square().mean() for part in y.split([1, 3, 5, 7], dim=1)])
    assert torch.allclose(y[:, 0].mean(dim=1), torch.zeros(50), atol=1e-10)
    assert torch.allclose(per_degree.mean(), torch.tensor(1.0), atol=0.05)


def test_scalars_of_the_linear_map_are_its_first_row():
    module, x = SO3Linear(4, 3, 2), torch.randn(5, 9, 4)
    torch.testing.assert_close(module.scalars(x), module(x)[:, :1])


@pytest.mark.parametrize(("lmax", "mmax"), [(2, 2), (4, 2), (3, 1), (2, 0)])
@pytest.mark.parametrize("parity", [False, True])
def test_so2_convolution_commutes_with_rolls_and_with_mirrors_if_parity(lmax, mmax, parity):
    module = SO2Convolution(4, 3, lmax, mmax, num_extra=5, parity=parity)
    x = torch.randn(6, sum(order_sizes(lmax, mmax)), 4)

    def apply(features):
        blocks, extra = module(to_blocks(features, lmax, mmax))
        return from_blocks(blocks, 3), extra

    y, extra = apply(x)
    for symmetry in (roll(lmax, mmax), mirror(lmax, mmax)):
        moved, moved_extra = apply(symmetry @ x)
        holds = torch.allclose(moved, symmetry @ y, atol=TOLERANCE)
        assert torch.allclose(moved_extra, extra, atol=TOLERANCE)
        is_mirror = torch.equal(symmetry, mirror(lmax, mmax))
        assert holds == (parity or not is_mirror or mmax == 0)


def test_so2_scalars_only_is_the_first_row():
    full, scalars = SO2Convolution(4, 3, 2, 2), SO2Convolution(4, 3, 2, 2, scalars_only=True)
    scalars.linear0.weight.data, scalars.linear0.bias.data = full.linear0.weight.data[:3], full.linear0.bias.data[:3]
    blocks = to_blocks(torch.randn(6, 9, 4), 2, 2)
    assert torch.allclose(scalars(blocks)[0][0], full(blocks)[0][0][:, :3], atol=TOLERANCE)


@pytest.mark.parametrize(("lmax", "mmax"), [(2, 2), (3, 2), (4, 2)])
@pytest.mark.parametrize("kind", ["gate", "swiglu"])
def test_exact_edge_activations_commute_with_rolls_and_mirrors(lmax, mmax, kind):
    if kind == "gate":
        module = GateActivation(lmax, mmax, 3)
    else:
        module = SwiGLUS2Activation(SphereGrid(lmax, mmax), lmax, mmax, 3)
    x = torch.randn(6, sum(order_sizes(lmax, mmax)), module.in_channels)
    scalars = torch.randn(6, module.num_scalars)
    y = from_blocks(module(to_blocks(x, lmax, mmax), scalars), 3)
    for symmetry in (roll(lmax, mmax), mirror(lmax, mmax)):
        moved = from_blocks(module(to_blocks(symmetry @ x, lmax, mmax), scalars), 3)
        assert torch.allclose(moved, symmetry @ y, atol=TOLERANCE)


def test_gate_multiplies_each_degree_by_its_own_sigmoid():
    lmax, mmax, channels = 3, 2, 2
    module = GateActivation(lmax, mmax, channels)
    x, scalars = torch.randn(4, sum(order_sizes(lmax, mmax)), channels), torch.randn(4, lmax * channels)
    y = from_blocks(module(to_blocks(x, lmax, mmax), scalars), channels)
    gates = torch.sigmoid(scalars).view(4, lmax, channels)
    for row, degree in enumerate(edge_degrees(lmax, mmax).tolist()):
        expected = torch.nn.functional.silu(x[:, row]) if degree == 0 else x[:, row] * gates[:, degree - 1]
        assert torch.allclose(y[:, row], expected, atol=TOLERANCE)


def test_silu_on_the_grid_is_only_nearly_equivariant_and_gets_better_with_points():
    errors = []
    for points in (6, 18):
        module = SeparableS2Activation(SphereGrid(2, 2, (points, points)), 2, 2, 3)
        x, scalars, turn = torch.randn(6, 9, 3), torch.randn(6, 3), roll(2, 2)
        y = from_blocks(module(to_blocks(x, 2, 2), scalars), 3)
        moved = from_blocks(module(to_blocks(turn @ x, 2, 2), scalars), 3)
        errors.append(((moved - turn @ y).norm() / y.norm()).item())
    assert errors[0] > 1e-2
    assert 1e-12 < errors[1] < 1e-3 * errors[0]


def projection_of_product(grid: SphereGrid, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return grid.from_grid(grid.to_grid(x) * grid.to_grid(y))


def grid_of(lmax: int, latitudes: int, longitudes: int) -> SphereGrid:
    from mlff.irreps.grid import _matrices

    grid = SphereGrid(lmax)
    grid.to_matrix, grid.from_matrix = _matrices(lmax, *np.polynomial.legendre.leggauss(latitudes), longitudes)
    return grid


@pytest.mark.parametrize("lmax", [1, 2, 3, 4, 6])
def test_products_are_exact_at_the_stated_grid_size_and_not_one_step_below(lmax):
    size = (lmax + 1) ** 2
    x, y, rotation = torch.randn(3, size, 2), torch.randn(3, size, 2), node_rotation(lmax)
    latitudes, longitudes = exact_resolution(lmax)
    assert latitudes * longitudes <= {1: 2 * 4, 2: 4 * 7, 3: 5 * 10, 4: 7 * 13, 6: 10 * 19}[lmax]

    def error(grid):
        expected = rotation @ projection_of_product(grid, x, y)
        return ((projection_of_product(grid, rotation @ x, rotation @ y) - expected).norm() / expected.norm()).item()

    assert error(grid_of(lmax, latitudes, longitudes)) < 1e-13
    assert error(grid_of(lmax, latitudes - 1, longitudes)) > 1e-6
    assert error(grid_of(lmax, latitudes, longitudes - 1)) > 1e-6


@pytest.mark.parametrize("resolution", [None, (18, 18)])
def test_grid_round_trip_and_unit_variance(resolution):
    grid, x = SphereGrid(4, None, resolution), torch.randn(2000, 25, 1)
    values = grid.to_grid(x)
    assert torch.allclose(grid.from_grid(values), x, atol=1e-10)
    assert abs(values.var().item() - 1.0) < 0.05
    assert torch.allclose(grid.scalar_from_grid(values), x[:, :1], atol=1e-10)
