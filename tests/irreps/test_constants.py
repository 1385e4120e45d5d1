"""Clebsch-Gordan coefficients and spherical harmonics: closed forms, and the algebra that defines them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lpmv
from support.rotations import directions, random_rotation, wigner_blocks, wigner_matrix

from mlff.irreps import EdgeFrame, clebsch_gordan, edge_rotation, node_degrees, spherical_harmonics, wigner_matrices

LMAX = 6


def triples() -> st.SearchStrategy[tuple[int, int, int]]:
    """Degrees that couple."""
    degrees = st.tuples(st.integers(0, 5), st.integers(0, 5))
    return degrees.flatmap(lambda two: st.tuples(*map(st.just, two), st.integers(abs(two[0] - two[1]), sum(two))))


def test_harmonics_are_the_closed_form_with_legendre_functions():
    """√(2 (l−m)!/(l+m)!) P_l^m(cos θ) times cos mφ or sin mφ; θ from y, φ from z to x, no Condon-Shortley phase."""
    v = np.concatenate([directions(50), np.eye(3), -np.eye(3)])
    found, azimuth = spherical_harmonics(11, v), np.arctan2(v[:, 0], v[:, 2])
    for degree in range(12):
        for m in range(degree + 1):
            norm = math.sqrt((2.0 if m else 1.0) * math.factorial(degree - m) / math.factorial(degree + m))
            legendre = norm * (-1.0) ** m * lpmv(m, degree, v[:, 1])
            row = degree * degree + degree
            np.testing.assert_allclose(found[:, row + m], legendre * np.cos(m * azimuth), rtol=0, atol=1e-13)
            if m > 0:
                np.testing.assert_allclose(found[:, row - m], legendre * np.sin(m * azimuth), rtol=0, atol=1e-13)


def test_every_degree_is_a_unit_vector_and_the_first_is_the_direction_itself():
    v = directions(50)
    harmonics = spherical_harmonics(LMAX, v)
    np.testing.assert_array_equal(harmonics[:, 1:4], v)
    for degree in range(LMAX + 1):
        squares = (harmonics[:, node_degrees(LMAX).numpy() == degree] ** 2).sum(axis=1)
        np.testing.assert_allclose(squares, 1.0, rtol=0, atol=1e-13)
    assert spherical_harmonics(0, v).shape == (50, 1)


def test_rotations_of_features_are_an_orthogonal_representation():
    a, b = random_rotation(1), random_rotation(2)
    first, second = wigner_matrix(a, LMAX), wigner_matrix(b, LMAX)
    eye = torch.eye(len(first), dtype=torch.float64)
    torch.testing.assert_close(first @ first.T, eye, rtol=0, atol=1e-12)
    torch.testing.assert_close(wigner_matrix(a @ b, LMAX), first @ second, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.block_diag(*wigner_blocks(a, LMAX)), first, rtol=0, atol=1e-12)
    assert (first @ second - second @ first).abs().max() > 0.1


def test_blocks_of_the_edge_frame_are_those_of_its_rotation():
    """Two ways: coupling of matrices, and what rotation does to harmonics."""
    v = torch.from_numpy(directions(8, seed=3))
    blocks = EdgeFrame(LMAX, LMAX).wigner_blocks(v)
    for edge, rotation in enumerate(edge_rotation(v)):
        for block, expected in zip(blocks, wigner_blocks(rotation, LMAX), strict=True):
            torch.testing.assert_close(block[edge], expected, rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(triples())
def test_coefficients_are_orthonormal(degrees):
    coupling = clebsch_gordan(*degrees)
    assert coupling.shape == tuple(2 * degree + 1 for degree in degrees)
    product = np.einsum("ijk,ijn->kn", coupling, coupling)
    np.testing.assert_allclose(product, np.eye(len(product)), rtol=0, atol=1e-13)


@settings(max_examples=20)
@given(triples(), st.integers(0, 100))
def test_coupled_features_turn_as_a_feature(degrees, seed):
    d1, d2, d3 = (wigner_blocks(random_rotation(seed), degree)[degree].numpy() for degree in degrees)
    coupling = clebsch_gordan(*degrees)
    turned = np.einsum("ijk,ia,jb->abk", coupling, d1, d2)
    np.testing.assert_allclose(turned, np.einsum("abc,kc->abk", coupling, d3), rtol=0, atol=1e-12)


def test_all_couplings_of_two_degrees_together_lose_nothing():
    l1, l2 = 3, 2
    rows = [clebsch_gordan(l1, l2, l3).reshape(35, -1) for l3 in range(abs(l1 - l2), l1 + l2 + 1)]
    matrix = np.concatenate(rows, axis=1)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(35), rtol=0, atol=1e-13)


@pytest.mark.parametrize("degrees", [(1, 1, 3), (2, 0, 1), (0, 0, 1)])
def test_degrees_that_do_not_couple_are_refused(degrees):
    with pytest.raises(ValueError, match=f"degrees {degrees[0]} and {degrees[1]} do not couple to {degrees[2]}"):
        clebsch_gordan(*degrees)


def test_the_shared_table_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        clebsch_gordan(1, 1, 2)[0, 0, 0] = 1.0


def test_wigner_matrices_turn_spherical_harmonics():
    turns = np.stack([random_rotation(seed).numpy() for seed in range(4)])
    blocks = wigner_matrices(6, turns)
    assert [block.shape for block in blocks] == [(4, 2 * degree + 1, 2 * degree + 1) for degree in range(7)]
    for k, turn in enumerate(turns):
        for block, expected in zip(blocks, wigner_blocks(torch.from_numpy(turn), 6), strict=True):
            np.testing.assert_allclose(block[k], expected.numpy(), atol=1e-10)
