"""Clouds under motions, padding, superposition and relabelling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.protein_structures import AMINO_ACIDS, coordinates_of, topology_of

from mlff.proteins import (
    CloudLayout,
    TensorCloud,
    align,
    kabsch_rotation,
    random_relabelling,
    relabelled,
    relabelling,
)
from mlff.proteins.residues import channel_names, residue_token


def layout_of(sequence: list[str]) -> CloudLayout:
    """With OXT at the end."""
    atoms = [
        [name for name in channel_names(residue_token(residue)) if name not in ("", "OXT")] for residue in sequence
    ]
    atoms[-1].append("OXT")
    return CloudLayout.of(topology_of([list(zip(sequence, atoms, strict=True))]))


def cloud_of(sequence: list[str], frames: int = 2, seed: int = 0) -> TensorCloud:
    layout = layout_of(sequence)
    return layout.cloud(torch.from_numpy(coordinates_of(layout.topology, frames, np.random.default_rng(seed))))


def rotations(count: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(count, rng=np.random.default_rng(seed)).as_matrix())


sequences = st.lists(st.sampled_from(AMINO_ACIDS), min_size=1, max_size=5)


@given(sequences, st.integers(0, 99))
@settings(max_examples=15)
def test_motions_of_the_cloud_are_motions_of_its_atoms(sequence: list[str], seed: int) -> None:
    cloud = cloud_of(sequence, seed=seed)
    rotation, shift = rotations(2, seed), torch.randn(2, 3, dtype=torch.float64)
    moved = cloud.rotate(rotation).translate(shift)
    atoms = cloud.atoms() @ rotation[:, None].transpose(-1, -2) + shift[:, None, None]
    torch.testing.assert_close(moved.atoms(), atoms * cloud.atom_mask.unsqueeze(-1))
    torch.testing.assert_close(moved.centred().center(), torch.zeros(2, 3, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(moved.centred().vectors, moved.vectors, rtol=0, atol=0)


@given(st.lists(sequences, min_size=1, max_size=4))
@settings(max_examples=15)
def test_collate_and_split_are_inverse_and_padding_stays_out(sequences: list[list[str]]) -> None:
    clouds = [cloud_of(sequence, frames=3, seed=i) for i, sequence in enumerate(sequences)]
    batch = TensorCloud.collate(clouds)
    assert batch.coordinates.shape[:3] == (len(clouds), 3, max(map(len, sequences)))
    for cloud, part in zip(clouds, batch.split(), strict=True):
        for name in ("coordinates", "residues", "atom_mask", "chains"):
            assert torch.equal(getattr(part, name), getattr(cloud, name))
    padding = ~batch.mask
    assert (batch.residues[padding] == 0).all()
    assert (batch.chains[padding] == -1).all()
    assert not batch.atom_mask[padding].any()
    moved = batch.translate(torch.ones(3))
    assert not moved.coordinates[padding].any()
    for cloud, centre in zip(clouds, batch.center(), strict=True):
        torch.testing.assert_close(centre, cloud.center())


def test_conversion_indexing_and_refusals() -> None:
    cloud = cloud_of(["ALA", "TRP"])
    assert cloud.to(dtype=torch.float32).coordinates.dtype == torch.float32
    assert cloud.to(dtype=torch.float32).residues.dtype == torch.int64
    assert cloud[1].coordinates.shape == (2, 3, 15)
    with pytest.raises(IndexError):
        cloud[1][0]
    with pytest.raises(ValueError, match="floating point"):
        cloud.to(dtype=torch.int64)
    with pytest.raises(ValueError, match="empty"):
        TensorCloud.collate([])
    with pytest.raises(ValueError, match="dtype"):
        TensorCloud.collate([cloud, cloud.to(dtype=torch.float32)])
    with pytest.raises(ValueError, match=r"atom_mask must be torch\.bool"):
        cloud.replace(atom_mask=cloud.atom_mask.long())


@pytest.mark.parametrize("atoms", ["heavy", "anchors"])
def test_alignment_undoes_a_motion(atoms: str) -> None:
    reference = cloud_of(["ALA", "LYS", "TYR", "VAL", "SER"], frames=6)
    moved = reference.rotate(rotations(6, 1)).translate(5.0 * torch.randn(6, 3, dtype=torch.float64))
    torch.testing.assert_close(align(moved, reference, atoms).coordinates, reference.coordinates)


def test_alignment_follows_the_reference_and_forgets_the_pose_of_the_mobile() -> None:
    # What makes a jump equivariant: (x0, x1) -> (R x0, R' x1) changes the aligned pair by R alone.
    first, second = cloud_of(["GLN", "PHE"], frames=8, seed=1), cloud_of(["GLN", "PHE"], frames=8, seed=2)
    aligned = align(second, first)
    turn = rotations(8, 3)
    turned = align(second.rotate(rotations(8, 4)).translate(torch.ones(3)), first.rotate(turn))
    torch.testing.assert_close(turned.coordinates, aligned.rotate(turn).coordinates)


@given(st.integers(0, 999), st.booleans())
@settings(max_examples=30)
def test_kabsch_agrees_with_scipy_and_never_reflects(seed: int, planar: bool) -> None:
    rng = np.random.default_rng(seed)
    mobile, reference = rng.normal(size=(2, 7, 3))
    if planar:
        mobile[:, 2] = 0.0
    mask = np.arange(7) < 6
    rotation = kabsch_rotation(torch.from_numpy(mobile), torch.from_numpy(reference), torch.from_numpy(mask)).numpy()
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    kept = [points[mask] - points[mask].mean(0) for points in (reference, mobile)]
    expected, distance = Rotation.align_vectors(*kept)
    assert np.linalg.norm(kept[0] - kept[1] @ rotation.T) == pytest.approx(distance, abs=1e-9)
    np.testing.assert_allclose(rotation, expected.as_matrix(), atol=1e-6)


def test_a_mirror_image_is_not_superposed() -> None:
    cloud = cloud_of(["LYS", "TRP"])
    mirrored = cloud.replace(coordinates=-cloud.coordinates)
    assert (align(mirrored, cloud).coordinates - cloud.centred().coordinates).abs().max() > 1.0


def test_only_the_same_atoms_are_aligned() -> None:
    with pytest.raises(ValueError, match="same residues"):
        align(cloud_of(["ALA"]), cloud_of(["GLY"]))


@given(sequences, st.integers(0, 99))
@settings(max_examples=30)
def test_relabelling_keeps_atoms_and_is_its_own_inverse(sequence: list[str], seed: int) -> None:
    cloud = cloud_of(sequence, seed=seed)
    order = random_relabelling(cloud, generator=torch.Generator().manual_seed(seed))
    traded = relabelled(cloud, order)
    assert torch.equal(relabelled(traded, order).coordinates, cloud.coordinates)
    assert torch.equal(cloud.atom_mask.gather(-1, order), cloud.atom_mask)
    for before, after in zip(cloud.atoms().flatten(0, -3), traded.atoms().flatten(0, -3), strict=True):
        assert sorted(map(tuple, before.tolist())) == sorted(map(tuple, after.tolist()))  # per residue


def test_relabelling_trades_the_atoms_that_a_motion_exchanges_and_no_others() -> None:
    sequence = [*AMINO_ACIDS, "GLY"]
    cloud = cloud_of(sequence)
    everywhere = torch.ones_like(cloud.mask)
    found = {}
    for i, row in enumerate(relabelling(cloud, everywhere, everywhere)[0].tolist()):
        names = channel_names(int(cloud.residues[0, i]))
        found[i] = {names[channel]: names[other] for channel, other in enumerate(row) if channel != other}
    expected = {
        "ARG": {"NH1": "NH2"}, "ASP": {"OD1": "OD2"}, "GLU": {"OE1": "OE2"},
        "PHE": {"CD1": "CD2", "CE1": "CE2"}, "TYR": {"CD1": "CD2", "CE1": "CE2"},
    }  # fmt: skip
    for i, residue in enumerate(AMINO_ACIDS):
        pairs = expected.get(residue, {})
        assert found[i] == pairs | {second: first for first, second in pairs.items()}
    assert found[len(AMINO_ACIDS)] == {"O": "OXT", "OXT": "O"}  # the end of the chain only
    nowhere = torch.zeros_like(everywhere)
    assert torch.equal(relabelled(cloud, relabelling(cloud, nowhere, nowhere)).coordinates, cloud.coordinates)


def test_random_relabelling_trades_half() -> None:
    cloud = cloud_of(["ASP"] * 4, frames=500)
    order = random_relabelling(cloud, generator=torch.Generator().manual_seed(0))
    traded = (order != torch.arange(15)).any(-1)[:, :3].double()
    assert traded.mean() == pytest.approx(0.5, abs=0.05)
    chosen = (order[:, 3, 3] != 3).double()  # O with OXT, independently of the side chain
    assert chosen.mean() == pytest.approx(0.5, abs=0.1)
    side = (order[:, 3, 6] != 6).double()
    assert (chosen * side).mean() == pytest.approx(0.25, abs=0.08)
