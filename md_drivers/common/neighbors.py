"""Graphs of structures for models, with neighbour lists that all engines keep from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from md_drivers.common.errors import StructureError
from mlff.graph import AtomicGraph, SkinNeighborList
from mlff.potential.artifact import LoadedModel


@dataclass(frozen=True)
class NeighborStatistics:
    """How often the neighbour list was asked for and how often it was built anew; ``skin`` in A."""

    queries: int
    rebuilds: int
    skin: float


class ModelGraphs:
    """Makes graphs on the device of a model, with its reach and limit of neighbours; ``skin`` in A."""

    def __init__(self, model: LoadedModel, skin: float) -> None:
        self.model = model
        about = model.metadata
        self._neighbors = SkinNeighborList(about.cutoff, skin, about.max_neighbors, about.max_neighbors_strict)

    def __call__(self, positions: np.ndarray, numbers: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> AtomicGraph:
        """The graph of positions [N, 3] in A, atomic numbers [N], cell [3, 3] in A and pbc [3], which are all copied.

        For the native engine it has all pairs of the neighbour list: that applies the cutoff itself.

        Raises:
            StructureError: the cell is too flat for a neighbour list.
        """
        # float64 whatever the model computes in: it rounds edge vectors, so atoms far from the origin stay exact.
        exact, device = torch.float64, self.model.device
        r = torch.tensor(positions, dtype=exact, device=device)
        try:
            edge_index, shifts = self._neighbors.update(r, cell, pbc, beyond=self.model.engine == "native")
        except ValueError as error:
            raise StructureError(str(error)) from error
        return AtomicGraph(
            positions=r,
            numbers=torch.tensor(numbers, dtype=torch.int64, device=device),
            cell=torch.tensor(cell, dtype=exact, device=device).unsqueeze(0),
            pbc=torch.tensor(pbc, dtype=torch.bool, device=device).unsqueeze(0),
            edge_index=edge_index,
            shifts=shifts,
            batch=torch.zeros(len(r), dtype=torch.int64, device=device),
        )

    @property
    def statistics(self) -> NeighborStatistics:
        """Queries and rebuilds of the neighbour list so far."""
        return NeighborStatistics(self._neighbors.queries, self._neighbors.rebuilds, self._neighbors.skin)
