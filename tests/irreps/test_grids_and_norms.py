"""Sphere grids in float64 whatever torch's default dtype, norms against their formulae, activations of V2."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rotations import random_rotation, wigner_matrix

from mlff.irreps import (
    DegreeLayerNorm,
    S2Activation,
    SphereGrid,
    edge_degrees,
    minimal_resolution,
    node_degrees,
    num_coefficients,
    num_edge_rows,
    order_sizes,
)


def test_the_default_dtype_is_single():
    """What the tests below rely on: tables made in torch's default dtype would be exact to seven digits only."""
    assert torch.get_default_dtype() == torch.float32


@settings(max_examples=20)
@given(lmax=st.integers(1, 8), extra=st.integers(0, 3), longitudes=st.integers(0, 4))
def test_band_limited_signals_survive_the_equiangular_grid(lmax, extra, longitudes):
    """Fejér's weights integrate products of two signals exactly once there are 2(lmax + 1) latitudes."""
    grid = SphereGrid(lmax, resolution=(2 * (lmax + 1 + extra), 2 * lmax + 1 + longitudes))
    identity = grid.from_matrix @ grid.to_matrix
    assert (identity - torch.eye(num_coefficients(lmax), dtype=torch.float64)).abs().max() < 1e-13


@pytest.mark.parametrize("mmax", [0, 1, 3, None])
def test_minimal_grid_keeps_the_signals_of_its_rows(mmax):
    grid = SphereGrid(3, mmax, minimal_resolution(3, mmax))
    rows = num_coefficients(3) if mmax is None else num_edge_rows(3, mmax)
    assert (grid.from_matrix @ grid.to_matrix - torch.eye(rows, dtype=torch.float64)).abs().max() < 1e-13


@pytest.mark.parametrize("lmax", [1, 3])
def test_degree_layer_norm_formula(lmax):
    x = torch.randn(4, num_coefficients(lmax), 6, dtype=torch.float64)
    norm = DegreeLayerNorm(lmax, 6).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    expected = np.zeros(x.shape)
    for node, values in enumerate(x.numpy()):
        for degree in range(lmax + 1):
            rows = np.flatnonzero(node_degrees(lmax).numpy() == degree)
            block = values[rows] - (values[rows].mean() if degree == 0 else 0.0)
            block = block / np.sqrt((block**2).mean() + 1e-5) * norm.weight[degree].detach().numpy()
            expected[node, rows] = block + (norm.bias.detach().numpy() if degree == 0 else 0.0)
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=1e-12)


def test_degree_layer_norm_is_equivariant():
    wigner = wigner_matrix(random_rotation(0), 3)
    norm = DegreeLayerNorm(3, 5).double()
    x = torch.randn(2, 16, 5, dtype=torch.float64)
    torch.testing.assert_close(norm(wigner @ x), wigner @ norm(x), rtol=0, atol=1e-12)


def test_s2_activation_is_silu_on_the_sphere():
    lmax, mmax, channels = 3, 1, 2
    grid = SphereGrid(lmax, mmax, (18, 18), rescale=True)
    activation = S2Activation(grid, lmax, mmax, channels)
    rows = num_edge_rows(lmax, mmax)
    x = torch.randn(300, rows, channels, dtype=torch.float64)
    sizes = [size * channels for size in order_sizes(lmax, mmax)]
    blocks = activation(list(x.reshape(300, -1).split(sizes, dim=1)), torch.zeros(300, 0, dtype=torch.float64))
    values = torch.einsum("pr,erc->epc", grid.to_matrix, x)
    expected = torch.einsum("rp,epc->erc", grid.from_matrix, values * torch.sigmoid(values))
    torch.testing.assert_close(torch.cat(blocks, dim=1).view(300, rows, channels), expected)
    assert len(edge_degrees(lmax, mmax)) == rows
