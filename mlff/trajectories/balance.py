"""Rare states as often as common ones: clusters of frames in their slowest coordinates."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlff.support.errors import DataError
from mlff.support.files import replacing
from mlff.support.packages import require_packages
from mlff.trajectories.config import BalanceConfig
from mlff.trajectories.fingerprints import fingerprint
from mlff.trajectories.format import Split
from mlff.trajectories.frame_features import VERSION, features
from mlff.trajectories.reading import SystemData

_LOG = logging.getLogger(__name__)
_FRAMES_PER_CLUSTER = 20
_MAX_FITTED = 50_000  # frames that place the centres of clusters


def cluster_labels(system: SystemData, config: BalanceConfig, split: Split = "train") -> NDArray[np.int64]:
    """Cluster of every row of ``SystemData.atoms`` of a split; -1 for the other rows.

    Computed once and kept next to the data, under a name that depends on settings and frames.

    Raises:
        DataError: no trajectory longer than the lag of TICA, or deeptime is not installed.
    """
    cache = system.folder / f".clusters_{system.name}_{_fingerprint(system, config, split)}.npy"
    kept = _read(cache, len(system.atoms))
    if kept is not None:
        return kept
    chosen = [trajectory for trajectory in system.trajectories if trajectory.split == split]
    coordinates = _slow_coordinates(system, [t.atoms.numpy() for t in chosen], config)
    labels = np.full(len(system.atoms), -1, dtype=np.int64)
    labels[np.concatenate([np.arange(t.first, t.first + len(t.atoms)) for t in chosen])] = _clusters(
        coordinates, config
    )
    try:
        with replacing(cache) as temporary, temporary.open("wb") as stream:
            np.save(stream, labels.astype(np.int32))
    except OSError as error:
        _LOG.warning("%s: clusters cannot be kept (%s) and are made anew each time", system.folder, error.strerror)
    return labels


def _slow_coordinates(
    system: SystemData, trajectories: list[NDArray[np.float32]], config: BalanceConfig
) -> NDArray[np.float64]:
    """All frames in the first coordinates of TICA, [F,dimensions]."""
    require_packages("equijump", "deeptime")
    from deeptime.decomposition import TICA

    lag = max(1, round(config.lag / system.frame_interval))
    described = [features(system.layout, atoms) for atoms in trajectories]
    usable = [values for values in described if len(values) > lag]
    if not usable:
        raise DataError(
            f"{system.name}: balanced sampling has a lag of {config.lag:g} ps ({lag} frames), but no trajectory is "
            "longer; use a shorter lag or a fraction of 0"
        )
    # Features of order one in float64: covariances of float32 lose the slow directions.
    mean = np.mean([values.mean(axis=0, dtype=np.float64) for values in usable], axis=0)
    model = TICA(lagtime=lag, dim=config.dimensions)
    for values in usable:
        model.partial_fit((values[:-lag] - mean, values[lag:] - mean))
    transform = model.fetch_model().transform
    return np.concatenate([transform(values - mean) for values in described])


def _clusters(coordinates: NDArray[np.float64], config: BalanceConfig) -> NDArray[np.int64]:
    """k-means, fitted to evenly spaced frames."""
    from deeptime.clustering import KMeans

    number = max(1, min(config.clusters, len(coordinates) // _FRAMES_PER_CLUSTER))
    fitted = coordinates[:: -(-len(coordinates) // _MAX_FITTED)]
    model = KMeans(number, fixed_seed=config.seed, n_jobs=1, max_iter=100).fit_fetch(np.ascontiguousarray(fitted))
    return np.asarray(model.transform(coordinates, n_jobs=1), dtype=np.int64)


def _fingerprint(system: SystemData, config: BalanceConfig, split: Split) -> str:
    digest = hashlib.sha256(f"{VERSION} {split} {config.model_dump_json(exclude={'fraction'})}".encode())
    digest.update(fingerprint([system]).encode())
    return digest.hexdigest()[:16]


def _read(path: Path, rows: int) -> NDArray[np.int64] | None:
    """The kept labels; None where there are none that can be used."""
    try:
        labels = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, OverflowError, EOFError):
        return None
    return labels.astype(np.int64) if labels.shape == (rows,) else None
