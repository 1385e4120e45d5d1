"""A state that holds two frames in a hundred is drawn as often as its clusters say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.trajectory_files import peptide_topology, trembling

from mlff.sampling.geometry import dihedral
from mlff.trajectories import (
    BalanceConfig,
    DataError,
    PairSampler,
    SystemData,
    cluster_labels,
    features,
    load_dataset,
)

pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")

# Of C, N, CA, C in the order of the channels of ACE-ALA-NME: CH3 C O, CA N C O CB, C N.
PHI = np.array([[1, 4, 3, 5]])
BACK = np.array([0, 1, 2, 4])


def turned(atoms: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """What lies before CA, turned about the bond N-CA; [F,10,3]."""
    out = np.repeat(atoms[None], len(angle), axis=0)
    axis = (atoms[4] - atoms[3]) / np.linalg.norm(atoms[4] - atoms[3])
    arm = atoms[BACK] - atoms[3]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    out[:, BACK] = atoms[3] + arm * cos + np.cross(axis, arm) * sin + (arm @ axis)[:, None] * axis * (1 - cos)
    return out


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, system_file: Callable[..., Path]) -> SystemData:
    """A dihedral with two states that change rarely, the second one held 3 % of the time, and noise on all atoms."""
    rng = np.random.default_rng(0)
    base = trembling(peptide_topology(["ACE", "ALA", "NME"]), 1, rng)[0]
    coordinates = []
    for _ in range(3):
        state = np.zeros(3000, dtype=int)
        for k in range(1, len(state)):
            state[k] = (rng.random() >= 0.05) if state[k - 1] else (rng.random() < 0.0015)
        frames = turned(base, 2.0 * state + rng.normal(size=len(state)) * 0.2)
        coordinates.append(frames + 0.03 * rng.normal(size=frames.shape))
    path = system_file(tmp_path_factory.mktemp("balance"), coordinates=coordinates)
    return load_dataset(path)[0]


def rare(system: SystemData) -> np.ndarray:
    """Whether each row of the atoms is in the second state."""
    phi = dihedral(system.atoms.double().numpy(), PHI)[:, 0]
    common = np.median(phi)
    return np.abs((phi - common + 180) % 360 - 180) > 57


def share_of_rare(system: SystemData, fraction: float) -> float:
    balance = BalanceConfig(fraction=fraction, lag=2.0, clusters=20)
    sampler = PairSampler([system], "train", [1.0], 4000, balance=balance)
    return float(rare(system)[sampler.indices(0).frame].mean())


def test_rare_states_are_drawn_more_often(system: SystemData) -> None:
    share = rare(system)[:3000].mean()
    assert 0.005 < share < 0.1
    assert share_of_rare(system, 0.0) == pytest.approx(share, abs=0.01)
    balanced = share_of_rare(system, 1.0)
    assert balanced > 5 * share
    assert share_of_rare(system, 0.5) == pytest.approx((share + balanced) / 2, abs=0.03)


def test_clusters_do_not_mix_slow_states(system: SystemData) -> None:
    labels = cluster_labels(system, BalanceConfig(lag=2.0, clusters=20))
    assert labels.min() == -1
    assert (labels[3000:] == -1).all()
    inside, state = labels[:3000], rare(system)[:3000]
    purity = [max(state[inside == c].mean(), 1 - state[inside == c].mean()) for c in np.unique(inside)]
    assert np.mean(purity) > 0.9


def test_features_are_distances_and_angles_of_any_frame(system: SystemData) -> None:
    atoms = system.atoms[:50].numpy()
    found = features(system.layout, atoms)
    pairs = np.triu_indices(10, k=1)
    np.testing.assert_allclose(
        found[:, :45], np.linalg.norm(atoms[:, pairs[0]] - atoms[:, pairs[1]], axis=-1), rtol=1e-6
    )
    phi = np.radians(dihedral(atoms.astype(np.float64), PHI)[:, 0])
    number = (found.shape[1] - 45) // 2
    np.testing.assert_allclose(found[:, [45, 45 + number]], np.stack([np.cos(phi), np.sin(phi)], 1), atol=1e-4)


def test_little_data_have_few_clusters(system: SystemData) -> None:
    short = SystemData(**{**vars(system), "atoms": system.atoms[:90], "trajectories": system.trajectories[:1]})
    short = SystemData(
        **{**vars(short), "trajectories": (type(system.trajectories[0])("t", "train", 0, system.atoms[:90]),)}
    )
    assert cluster_labels(short, BalanceConfig(lag=2.0)).max() + 1 <= 4
    with pytest.raises(DataError, match=r"lag of 50 ps \(100 frames\), but no trajectory is longer"):
        cluster_labels(short, BalanceConfig(lag=50.0))


def test_clusters_are_kept_until_data_or_settings_change(system: SystemData) -> None:
    config = BalanceConfig(lag=3.0, clusters=5)
    labels = cluster_labels(system, config)
    kept = {path: path.stat().st_mtime_ns for path in system.folder.glob(".clusters_*.npy")}
    # The share that is reweighted is no matter of clusters.
    assert np.array_equal(cluster_labels(system, config.model_copy(update={"fraction": 0.1})), labels)
    assert {path: path.stat().st_mtime_ns for path in system.folder.glob(".clusters_*.npy")} == kept
    moved = SystemData(**{**vars(system), "atoms": system.atoms + 0.001})
    for data, settings in ((moved, config), (system, config.model_copy(update={"seed": 1}))):
        before = set(system.folder.glob(".clusters_*.npy"))
        cluster_labels(data, settings)
        assert len(set(system.folder.glob(".clusters_*.npy")) - before) == 1
    for path in kept:
        path.write_bytes(b"damaged")
    assert np.array_equal(cluster_labels(system, config), labels)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_folders_that_cannot_be_written_are_no_error(system: SystemData) -> None:
    system.folder.chmod(0o500)
    try:
        assert cluster_labels(system, BalanceConfig(lag=4.0, clusters=3)).max() == 2
    finally:
        system.folder.chmod(0o700)
