"""Pairs: from one trajectory, of the right lag, superposed, and the same at every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mlff.proteins import TensorCloud, align
from mlff.trajectories import (
    DataError,
    JumpBatch,
    PairIndices,
    PairSampler,
    SystemData,
    displacement,
    fixed_pairs,
    load_dataset,
    make_batch,
)


@pytest.fixture(scope="module")
def systems(two_systems: tuple[Path, Path]) -> tuple[SystemData, ...]:
    return load_dataset(list(two_systems))


def expected(systems: tuple[SystemData, ...], indices: PairIndices) -> list[TensorCloud]:
    """Source and targets by the long way, one pair after the other."""
    rows: list[list[TensorCloud]] = []
    for s, t, frame, lag in zip(indices.system, indices.trajectory, indices.frame, indices.lag, strict=True):
        system = systems[s]
        atoms = system.trajectories[t].atoms
        stride = round(lag / system.frame_interval)
        row = [system.layout.cloud(atoms[frame]).centred()]
        for k in range(1, indices.num_targets + 1):
            row.append(align(system.layout.cloud(atoms[frame + k * stride]), row[-1]))
        rows.append(row)
    return [TensorCloud.collate(list(column)) for column in zip(*rows, strict=True)]


def assert_equal_clouds(first: TensorCloud, second: TensorCloud) -> None:
    torch.testing.assert_close(first.coordinates, second.coordinates, rtol=0, atol=2e-5)
    for name in ("residues", "atom_mask", "chains"):
        assert getattr(first, name).equal(getattr(second, name)), name


@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**6), targets=st.integers(1, 3))
@settings(max_examples=15)
def test_batches_are_the_frames_they_say(systems: tuple[SystemData, ...], seed: int, step: int, targets: int) -> None:
    sampler = PairSampler(systems, "train", [0.5, 2.0], 8, seed, num_targets=targets, relabel=0.0)
    indices = sampler.indices(step)
    assert set(np.unique(indices.lag)) <= {0.5, 2.0}
    for s, t in zip(indices.system, indices.trajectory, strict=True):
        assert systems[s].trajectories[t].split == "train"
    batch = sampler.batch(step)
    assert len(batch.targets) == targets
    assert batch.target is batch.targets[0]
    assert batch.lag.tolist() == indices.lag.tolist()
    for cloud, wanted in zip((batch.source, *batch.targets), expected(systems, indices), strict=True):
        assert_equal_clouds(cloud, wanted)


def test_a_step_depends_on_its_number_only(systems: tuple[SystemData, ...]) -> None:
    def batches(steps: list[int], rank: int = 0) -> list[torch.Tensor]:
        sampler = PairSampler(systems, "train", [0.5, 1.0], 16, seed=5)
        return [sampler.batch(step, rank).target.coordinates for step in steps]

    forward, backward = batches([3, 4, 5]), batches([5, 4, 3])
    assert all(a.equal(b) for a, b in zip(forward, reversed(backward), strict=True))
    assert not forward[0].equal(forward[1])
    assert not batches([3], rank=1)[0].equal(forward[0])


def test_every_pair_that_fits_is_drawn_and_no_other(systems: tuple[SystemData, ...]) -> None:
    sampler = PairSampler(systems[:1], "val", [2.0], 256, num_targets=2)
    drawn = {int(frame) for step in range(8) for frame in sampler.indices(step).frame}
    assert drawn == set(range(30 - 2 * 4))  # the val trajectory has 30 frames, 0.5 ps apart


def test_systems_and_lags_are_drawn_alike(systems: tuple[SystemData, ...]) -> None:
    sampler = PairSampler(systems, "train", [0.5, 1.0], 512, systems_per_batch=1)
    drawn = [sampler.indices(step) for step in range(60)]
    assert {len(np.unique(indices.system)) for indices in drawn} == {1}
    assert 15 < sum(indices.system[0] for indices in drawn) < 45
    assert np.mean([(indices.lag == 0.5).mean() for indices in drawn]) == pytest.approx(0.5, abs=0.02)


def test_motion_of_the_whole_molecule_is_no_jump(systems: tuple[SystemData, ...]) -> None:
    system = systems[1]
    rng = np.random.default_rng(0)
    rotations = torch.from_numpy(Rotation.random(len(system.atoms), rng=rng).as_matrix()).float()
    moved = torch.matmul(system.atoms, rotations.transpose(-1, -2)) + torch.from_numpy(rng.normal(size=(3,))).float()
    still = system.atoms[:1].expand_as(system.atoms)
    tumbling = torch.matmul(still, rotations.transpose(-1, -2))
    for atoms in (tumbling, moved):
        trajectories = tuple(
            type(t)(t.name, t.split, t.first, atoms[t.first : t.first + len(t.atoms)]) for t in system.trajectories
        )
        turned = SystemData(**{**vars(system), "atoms": atoms, "trajectories": trajectories})
        (indices,) = fixed_pairs([turned], "train", [1.0], 20)
        batch = make_batch([turned], indices)
        change = (batch.target.coordinates - batch.source.coordinates).square().sum((-1, -2, -3))
        if atoms is tumbling:
            assert change.max() < 1e-8
        else:
            plain = make_batch([system], fixed_pairs([system], "train", [1.0], 20)[0])
            wanted = (plain.target.coordinates - plain.source.coordinates).square().sum((-1, -2, -3))
            torch.testing.assert_close(change, wanted, rtol=1e-4, atol=1e-4)


def test_equivalent_atoms_trade_names_in_all_frames_alike(systems: tuple[SystemData, ...]) -> None:
    sampler = PairSampler(systems[1:], "train", [0.5], 256, num_targets=2)
    indices = sampler.indices(0)
    plain, traded = make_batch(systems[1:], indices, relabel=0.0), sampler.batch(0)
    seen = set()
    for k in range(len(plain)):
        moved = [
            (a.coordinates[k] - b.coordinates[k]).abs().sum(1) > 1e-4
            for a, b in zip((plain.source, *plain.targets), (traded.source, *traded.targets), strict=True)
        ]
        assert moved[0].equal(moved[1])
        assert moved[0].equal(moved[2])
        seen.add(tuple(moved[0].any(-1).tolist()))
    # PHE, ASP and ARG choose independently; caps and GLY have nothing to trade.
    assert seen == {(False, a, b, False, c, False) for a in (False, True) for b in (False, True) for c in (False, True)}
    lengths = [batch.source.coordinates.norm(dim=-2).sort(dim=-1).values for batch in (plain, traded)]
    torch.testing.assert_close(*lengths)


def test_fixed_pairs_are_spread_and_never_relabelled(systems: tuple[SystemData, ...]) -> None:
    batches = fixed_pairs(systems, "test", [0.5, 1.0], 5)
    assert [(set(b.system.tolist()), set(b.lag.tolist())) for b in batches] == [
        ({0}, {0.5}), ({0}, {1.0}), ({1}, {0.5}), ({1}, {1.0}),
    ]  # fmt: skip
    assert batches[0].frame.tolist() == [0, 4, 9, 14, 18]
    assert set(batches[0].trajectory.tolist()) == {2}
    assert len(fixed_pairs(systems, "test", [0.5], 1000)[0]) == 19
    assert_equal_clouds(make_batch(systems, batches[2]).source, expected(systems, batches[2])[0])


def test_batches_move_as_one(systems: tuple[SystemData, ...]) -> None:
    batch = PairSampler(systems, "train", [0.5], 4).batch(0).to(dtype=torch.float64)
    assert isinstance(batch, JumpBatch)
    assert len(batch) == 4
    assert {batch.source.coordinates.dtype, batch.target.coordinates.dtype, batch.lag.dtype} == {torch.float64}


def test_what_cannot_be_drawn_is_named(systems: tuple[SystemData, ...]) -> None:
    with pytest.raises(DataError, match=r"small: a lag of 0\.7 ps is no whole number of its frames"):
        PairSampler(systems, "train", [0.7], 8)
    with pytest.raises(DataError, match="small: its test trajectories have at most 20 frames, too few"):
        PairSampler(systems, "test", [10.0], 8)
    with pytest.raises(DataError, match="batch_size 7 is no multiple of the 2 systems"):
        PairSampler(systems, "train", [0.5], 7)
    with pytest.raises(DataError, match="at least one lag"):
        PairSampler(systems, "train", [], 8)
    no_val = SystemData(**{**vars(systems[0]), "trajectories": systems[0].trajectories[:1]})
    with pytest.raises(DataError, match="no trajectory has the split 'val'"):
        fixed_pairs([no_val], "val", [0.5], 3)
    beyond = PairIndices(np.array([0]), np.array([0]), np.array([39]), np.array([0.5]))
    with pytest.raises(IndexError, match="beyond the end"):
        make_batch(systems, beyond)


def test_displacement_of_independent_noise(systems: tuple[SystemData, ...]) -> None:
    """Frames of a fixed structure with noise of 0.1 Å on every atom, so that source and target are independent."""
    system = systems[1]
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(system.atoms.shape, generator=generator)
    atoms = system.atoms[:1] + noise
    trajectories = tuple(
        type(t)(t.name, t.split, t.first, atoms[t.first : t.first + len(t.atoms)]) for t in system.trajectories
    )
    noisy = SystemData(**{**vars(system), "atoms": atoms, "trajectories": trajectories})
    anchors, vectors = displacement([noisy], 0.5)
    # Two noises each; the mean of the six anchors is taken out. Vectors have the noise of both ends.
    assert anchors == pytest.approx(0.1 * np.sqrt(2 * (1 - 1 / 6)), rel=0.1)
    assert vectors == pytest.approx(0.1 * np.sqrt(4), rel=0.06)
