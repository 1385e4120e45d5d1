"""Neighbour lists of a whole data set, packed, and their file on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mlff.data.frame import Frame, frames_fingerprint
from mlff.graph import neighbor_list
from mlff.support.files import replacing

_LOG = logging.getLogger(__name__)

# Part of the key of a cache file; raised whenever the content of a file changes its meaning.
_FORMAT = 1
# Closer atoms (A) are taken for a mistake: no direction can be defined and no label be right.
_TOO_CLOSE = 0.05


@dataclass(frozen=True)
class PackedEdges:
    """Neighbour lists of M frames, one after the other.

    Attributes:
        edge_index: [2,E] int32, source and target within the frame.
        shifts: [E,3] int32.
        offsets: [M+1] int64; frame m owns edges offsets[m] to offsets[m+1].
    """

    edge_index: np.ndarray
    shifts: np.ndarray
    offsets: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """[M] int64 edges of each frame."""
        return np.diff(self.offsets)

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """edge_index [2,E_m] and shifts [E_m,3] of one frame."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        return self.edge_index[:, start:stop], self.shifts[start:stop]

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"edge_index": self.edge_index, "shifts": self.shifts, "offsets": self.offsets}

    def _checksum(self) -> str:
        digest = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def build_edges(
    frames: Sequence[Frame], cutoff: float, max_neighbors: int | None, max_neighbors_strict: bool = True
) -> PackedEdges:
    """Neighbour lists of all frames.

    Raises:
        DataError: two atoms of a frame coincide, or the neighbour list refuses the structure.
    """
    indices, shifts, counts = [], [], [0]
    for frame in frames:
        atoms, cell = frame.atoms, frame.atoms.cell.array
        try:
            pairs, images = neighbor_list(
                *(atoms.positions, cell, atoms.pbc, cutoff),
                max_neighbors=max_neighbors,
                max_neighbors_strict=max_neighbors_strict,
            )
        except ValueError as error:
            raise frame.error(f"no neighbour list: {error}") from error
        edge_index, image = pairs.numpy(), images.numpy()
        vectors = atoms.positions[edge_index[0]] - atoms.positions[edge_index[1]] + image @ cell
        if len(vectors):
            lengths = np.linalg.norm(vectors, axis=1)
            closest = int(lengths.argmin())
            if lengths[closest] < _TOO_CLOSE:
                first, second = sorted(edge_index[:, closest].tolist())
                raise frame.error(
                    f"atoms {first} and {second} are {lengths[closest]:.3g} A apart",
                    "remove the frame or the double atom",
                )
        indices.append(edge_index.astype(np.int32))
        shifts.append(image.astype(np.int32))
        counts.append(edge_index.shape[1])
    return PackedEdges(
        edge_index=np.concatenate(indices, axis=1) if indices else np.zeros((2, 0), np.int32),
        shifts=np.concatenate(shifts) if shifts else np.zeros((0, 3), np.int32),
        offsets=np.cumsum(counts, dtype=np.int64),
    )


def cached_edges(
    frames: Sequence[Frame],
    cutoff: float,
    max_neighbors: int | None,
    max_neighbors_strict: bool,
    cache_dir: Path | None,
) -> PackedEdges:
    """Neighbour lists from the cache where it holds them, else computed and stored.

    The file name is a digest of the frames (structures and labels), cutoff and neighbour cap; its content carries a
    checksum. A damaged file is built anew. A cache folder that cannot be written is reported by a warning only.

    Raises:
        DataError: see `build_edges`.
    """
    limits = max_neighbors, max_neighbors_strict
    if cache_dir is None:
        return build_edges(frames, cutoff, *limits)
    key = json.dumps([_FORMAT, frames_fingerprint(frames), float(cutoff).hex(), *limits])
    path = Path(cache_dir) / f"edges-{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
    if path.exists():
        try:
            return _load(path, frames)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            _LOG.warning("the neighbour-list cache %s is damaged (%s) and is built anew", path, error)
    edges = build_edges(frames, cutoff, *limits)
    try:
        _store(path, edges)
    except OSError as error:
        _LOG.warning("cannot write the neighbour-list cache %s (%s)", path, error)
    return edges


def _load(path: Path, frames: Sequence[Frame]) -> PackedEdges:
    with safe_open(path, framework="np") as stream:
        edges = PackedEdges(*(stream.get_tensor(name) for name in ("edge_index", "shifts", "offsets")))
        checksum = (stream.metadata() or {}).get("sha256")
    if checksum != edges._checksum():
        raise ValueError("checksum does not match")
    if len(edges.offsets) != len(frames) + 1:
        raise ValueError(f"holds {len(edges.offsets) - 1} frames instead of {len(frames)}")
    return edges


def _store(path: Path, edges: PackedEdges) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        try:
            save_file(edges._arrays(), temporary, metadata={"sha256": edges._checksum()})
        except SafetensorError as error:
            raise OSError(str(error)) from error
