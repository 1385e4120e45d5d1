"""Conventions and tables are those of e3nn, which is not needed otherwise."""

import numpy as np
import pytest
import torch
from support.rotations import directions, random_rotation, wigner_blocks

from mlff.irreps import EdgeFrame, SphereGrid, clebsch_gordan, edge_rotation, spherical_harmonics

o3 = pytest.importorskip("e3nn.o3")
LMAX = 6


@pytest.fixture(autouse=True)
def _double_precision():
    """e3nn computes some of its tables in torch's default dtype."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(previous)


def test_clebsch_gordan_coefficients_are_scaled_wigner_3j():
    for l1 in range(LMAX + 1):
        for l2 in range(LMAX + 1):
            for l3 in range(abs(l1 - l2), min(l1 + l2, LMAX) + 1):
                expected = o3.wigner_3j(l1, l2, l3, dtype=torch.float64).numpy() * (2 * l3 + 1) ** 0.5
                np.testing.assert_allclose(clebsch_gordan(l1, l2, l3), expected, rtol=0, atol=1e-13)


def test_spherical_harmonics():
    v = directions(40)
    expected = o3.spherical_harmonics(list(range(12)), torch.from_numpy(v), normalize=False, normalization="norm")
    np.testing.assert_allclose(spherical_harmonics(11, v), expected.numpy(), rtol=0, atol=1e-13)


def test_wigner_matrices():
    rotation = random_rotation(0)
    for degree, block in enumerate(wigner_blocks(rotation, LMAX)):
        torch.testing.assert_close(block, o3.Irrep(degree, 1).D_from_matrix(rotation), rtol=0, atol=1e-11)


def test_blocks_of_edge_frames():
    v = torch.from_numpy(directions(40))
    angles = o3.matrix_to_angles(edge_rotation(v))
    for degree, block in enumerate(EdgeFrame(LMAX, LMAX).wigner_blocks(v)):
        torch.testing.assert_close(block, o3.wigner_D(degree, *angles), rtol=0, atol=1e-11)


def test_equiangular_grid():
    to, back = o3.ToS2Grid(4, (18, 18)), o3.FromS2Grid((18, 18), 4)
    grid = SphereGrid(4, resolution=(18, 18))
    to_grid = torch.einsum("mbi,am->bai", to.shb, to.sha).reshape(-1, 25)
    from_grid = torch.einsum("am,mbi->iba", back.sha, back.shb).reshape(25, -1)
    torch.testing.assert_close(grid.to_matrix, to_grid, rtol=0, atol=1e-13)
    torch.testing.assert_close(grid.from_matrix, from_grid, rtol=0, atol=1e-13)
