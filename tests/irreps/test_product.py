"""The channel-wise tensor product: equivariance, size, and the products known from vectors."""

import pytest
import torch
from support.rotations import random_rotation, wigner_blocks

from mlff.irreps import ChannelwiseProduct, num_coefficients


@pytest.mark.parametrize("lmax", [0, 1, 2, 3])
def test_products_turn_with_their_factors(lmax: int) -> None:
    torch.manual_seed(lmax)
    product = ChannelwiseProduct(lmax)
    x, y = torch.randn(2, 4, num_coefficients(lmax), 3, dtype=torch.float64)
    blocks = wigner_blocks(random_rotation(lmax), lmax)
    d = torch.block_diag(*blocks)
    rows = torch.block_diag(*(blocks[l3] for l3 in product.path_degrees))
    torch.testing.assert_close(product(d @ x, d @ y), rows @ product(x, y), rtol=1e-12, atol=1e-12)


def test_products_of_vectors_are_scalar_and_cross_product() -> None:
    torch.manual_seed(0)
    product = ChannelwiseProduct(1)
    vectors = torch.randn(2, 5, 3, 2, dtype=torch.float64)
    x, y = torch.cat([torch.zeros(2, 5, 1, 2, dtype=torch.float64), vectors], dim=2)
    rows = list(product(x, y).split([2 * degree + 1 for degree in product.path_degrees], dim=1))
    found = [row for row in rows if row.abs().max() > 0]
    scalar, cross = found
    # unit variance: three products of unit variance are added in a scalar, two in a row of a cross product
    torch.testing.assert_close(scalar[:, 0].abs(), (vectors[0] * vectors[1]).sum(1).abs() / 3**0.5)
    expected = torch.linalg.cross(vectors[0], vectors[1], dim=1) / 2**0.5
    torch.testing.assert_close(cross.abs(), expected.abs())


def test_products_of_unit_variance_have_unit_variance() -> None:
    torch.manual_seed(0)
    product = ChannelwiseProduct(2)
    x, y = torch.randn(2, 20_000, 9, 1, dtype=torch.float64)
    assert torch.allclose(product(x, y).square().mean((0, 2)), torch.ones(1, dtype=torch.float64), atol=0.1)
