"""Edge frames and Wigner matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.irreps import (
    EdgeFrame,
    edge_rotation,
    m_major_pairs,
    m_major_rows,
    node_degrees,
    num_edge_rows,
    order_sizes,
    spherical_harmonics,
)

LMAX = 6
POLES_AND_CHART_EDGES = torch.tensor(
    [[0, 1, 0], [0, -1, 0], [1, 0, 0], [0, 0, -1], [1, 1e-14, 0], [1, -1e-14, 0]], dtype=torch.float64
)


def directions(count: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    return torch.nn.functional.normalize(torch.cat([random, POLES_AND_CHART_EDGES]), dim=1)


def test_rotation_is_proper_and_takes_the_edge_to_y():
    v = directions()
    rotation = edge_rotation(v)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert torch.allclose((rotation @ v[:, :, None])[:, :, 0], up.expand_as(v), atol=1e-13)
    assert torch.allclose(
        rotation @ rotation.transpose(1, 2), torch.eye(3, dtype=torch.float64).expand(len(v), 3, 3), atol=1e-13
    )
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(len(v), dtype=torch.float64), atol=1e-13)


def test_blocks_are_orthogonal_and_rotate_spherical_harmonics_to_the_pole():
    v = directions()
    blocks = EdgeFrame(LMAX, LMAX).wigner_blocks(v)
    harmonics = torch.from_numpy(spherical_harmonics(LMAX, v.numpy()))
    for degree, block in enumerate(blocks):
        eye = torch.eye(2 * degree + 1, dtype=torch.float64)
        assert torch.allclose(block @ block.transpose(1, 2), eye.expand_as(block), atol=1e-12)
        rotated = (block @ harmonics[:, degree * degree : (degree + 1) ** 2, None])[:, :, 0]
        assert torch.allclose(rotated, eye[degree].expand_as(rotated), atol=1e-12)


@pytest.mark.parametrize("direction", POLES_AND_CHART_EDGES[:4].tolist())
def test_first_and_second_derivatives_are_right_also_at_the_poles(direction):
    frame = EdgeFrame(3, 2)

    def packed(edge_vec):
        return frame(edge_vec / torch.linalg.vector_norm(edge_vec, dim=1, keepdim=True)).sum(dim=0)

    # a hair off the chart boundary y = 0, where the frame jumps by construction
    edge_vec = (torch.tensor([direction], dtype=torch.float64) * 1.7 + 1e-3).requires_grad_(True)
    assert torch.autograd.gradcheck(packed, (edge_vec,))
    assert torch.autograd.gradgradcheck(packed, (edge_vec,))


@settings(max_examples=30)
@given(lmax=st.integers(1, 6), data=st.data())
def test_packed_rows_are_the_blocks_in_m_major_order(lmax, data):
    mmax = data.draw(st.integers(0, lmax))
    v = directions(3)
    frame = EdgeFrame(lmax, mmax)
    dense = torch.stack([torch.block_diag(*(block[e] for block in frame.wigner_blocks(v))) for e in range(len(v))])
    torch.testing.assert_close(frame(v), dense[:, m_major_rows(lmax, mmax)])
    assert (
        sum(order_sizes(lmax, mmax))
        == num_edge_rows(lmax, mmax)
        == sum(min(2 * n + 1, 2 * mmax + 1) for n in range(lmax + 1))
    )


def test_layout_tables():
    assert m_major_pairs(2, 2) == [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (1, -1), (2, -1), (2, 2), (2, -2)]
    assert node_degrees(2).tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    assert [num_edge_rows(*size) for size in ((2, 2), (4, 2), (6, 2), (6, 3))] == [9, 19, 29, 37]
    with pytest.raises(ValueError, match="mmax"):
        m_major_pairs(2, 3)


def test_scripted_frames_are_the_eager_ones():
    v = directions()
    torch.testing.assert_close(torch.jit.script(edge_rotation)(v), edge_rotation(v))
