"""Neighbour lists of models, as all engines keep them from step to step."""

from __future__ import annotations

from dataclasses import dataclass

from mlff.graph import SkinNeighborList
from mlff.potential.artifact import LoadedModel


@dataclass(frozen=True)
class NeighborStatistics:
    """How often the neighbour list was asked for and how often it was built anew; ``skin`` in A."""

    queries: int
    rebuilds: int
    skin: float


def new_neighbor_list(model: LoadedModel, skin: float) -> SkinNeighborList:
    """A list with the reach of a model and its limit of neighbours; ``skin`` in A."""
    about = model.metadata
    return SkinNeighborList(about.cutoff, skin, about.max_neighbors, about.max_neighbors_strict)


def statistics_of(neighbors: SkinNeighborList | None, skin: float) -> NeighborStatistics:
    """Of a list, or of one that is not made yet."""
    if neighbors is None:
        return NeighborStatistics(0, 0, skin)
    return NeighborStatistics(neighbors.queries, neighbors.rebuilds, skin)
