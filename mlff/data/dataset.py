"""Labelled graphs for training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from mlff.data.cache import cached_edges
from mlff.data.frame import PARTLY_FIXED, Frame, check_stress, fixed_atoms, frames_fingerprint, partly_fixed
from mlff.graph import AtomicGraph, quantity
from mlff.graph._structure import check_cutoff, check_max_neighbors
from mlff.graph.folding import folded


class GraphDataset(Dataset[AtomicGraph]):
    """One labelled `AtomicGraph` for each frame, with neighbour lists computed once.

    Args:
        frames: labelled frames, in eV and A.
        cutoff: radius of the neighbour lists, A.
        max_neighbors: cap on the edges that end at an atom, nearest first; None: no cap.
        max_neighbors_strict: see :func:`mlff.graph.neighbor_list`.
        cache_dir: folder for neighbour lists, created when missing; None: keep them in memory only.
        dtype: floating-point type of the graphs (the energy is float64 always). Edges are found in float64.

    Graphs carry the labels of their frames, fixed and partly_fixed [N] bool.

    Raises:
        DataError: a frame whose atoms coincide, or with a stress but a cell without volume.
        ValueError: cutoff or max_neighbors out of range.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        cutoff: float,
        max_neighbors: int | None = None,
        cache_dir: Path | str | None = None,
        *,
        max_neighbors_strict: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.cutoff, self.max_neighbors = check_cutoff(cutoff), check_max_neighbors(max_neighbors)
        self.frames = tuple(frames)
        for frame in self.frames:
            check_stress(frame)
        self.dtype = dtype
        limits = max_neighbors, max_neighbors_strict
        self._edges = cached_edges(self.frames, self.cutoff, *limits, None if cache_dir is None else Path(cache_dir))
        self._partly_fixed = [
            frame.atoms.arrays[PARTLY_FIXED] if frame.atoms.has(PARTLY_FIXED) else partly_fixed(frame)
            for frame in self.frames
        ]
        structures = (frame.atoms for frame in self.frames)
        self._folded = [folded(atoms.positions, atoms.cell.array, atoms.pbc) for atoms in structures]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> AtomicGraph:
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of a data set of {len(self)}")
        index = range(len(self))[index]
        frame, (edge_index, shifts) = self.frames[index], self._edges.frame(index)
        atoms = frame.atoms

        def real(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, dtype=self.dtype)

        partly, (positions, wraps) = self._partly_fixed[index], self._folded[index]
        if wraps.any():
            shifts = shifts + wraps[edge_index[0]] - wraps[edge_index[1]]
        return AtomicGraph(
            positions=real(positions),
            numbers=torch.tensor(atoms.numbers, dtype=torch.int64),
            cell=real(atoms.cell.array)[None],
            pbc=torch.tensor(atoms.pbc)[None],
            edge_index=torch.tensor(edge_index, dtype=torch.int64),
            shifts=real(shifts),
            batch=torch.zeros(len(atoms), dtype=torch.int64),
            labels={name: self._label(name, value) for name, value in frame.labels.items()},
            fixed=torch.tensor(fixed_atoms(atoms) | partly),
            partly_fixed=torch.tensor(partly),
        )

    def _label(self, name: str, value: np.ndarray) -> torch.Tensor:
        # of a large system the total energy loses meV digits in float32
        tensor = torch.tensor(value, dtype=torch.float64 if name == "energy" else self.dtype)
        return tensor if quantity(name).per == "atom" else tensor[None]

    @property
    def edge_counts(self) -> np.ndarray:
        """[M] int64 edges of each frame; the measure of work that `BatchSampler` balances."""
        return self._edges.counts

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content of the frames."""
        return frames_fingerprint(self.frames)


def collate(graphs: Sequence[AtomicGraph]) -> AtomicGraph:
    """Joins graphs into one batch; the `collate_fn` of a `torch.utils.data.DataLoader`.

    A label that one of the graphs lacks is dropped from the batch.
    """
    return AtomicGraph.collate(list(graphs))
