"""Batches filled up to one size, for compiled training steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlff.graph import AtomicGraph, quantity
from mlff.potential import CorruptedGraph

_SPARE = 0.02  # more edges: the noise of DeNS makes some
_MULTIPLE = 8


@dataclass(frozen=True)
class BatchSize:
    """Structures, atoms and edges of padded batches, padding included."""

    graphs: int
    atoms: int
    edges: int

    @classmethod
    def typical(cls, atoms: Sequence[int], edges: Sequence[int], batch_size: int) -> BatchSize:
        """Room for nearly all batches of ``batch_size`` random frames; the same whatever the order of the frames.

        Args:
            atoms, edges: numbers of each frame.
            batch_size: frames in a full batch.
        """
        most_atoms = _nearly_all(np.asarray(atoms), batch_size)
        most_edges = _nearly_all(np.asarray(edges), batch_size)
        return cls(batch_size + 1, _rounded(most_atoms + 1), _rounded(most_edges * (1.0 + _SPARE)))

    def holds(self, graph: AtomicGraph) -> bool:
        """Whether a batch can be padded to this size: it needs one atom of padding at least."""
        atoms, edges = graph.positions.shape[0], graph.num_edges
        return graph.num_graphs == self.graphs - 1 and atoms < self.atoms and edges <= self.edges


def _nearly_all(counts: NDArray[np.int64], batch_size: int) -> float:
    """Bound on the sum over a random batch: four standard deviations, never more than the largest frames give."""
    typical = batch_size * counts.mean() + 4.0 * batch_size**0.5 * counts.std()
    return float(min(np.ceil(typical), np.sort(counts)[-batch_size:].sum()))


def _rounded(size: float) -> int:
    return -int(-size // _MULTIPLE) * _MULTIPLE


def pad(graph: AtomicGraph, size: BatchSize, cutoff: float) -> AtomicGraph:
    """The batch with one more structure that fills it up; what it computes for the others does not change.

    The atoms of that structure do not interact: its edges lead from one atom to a periodic image beyond the cutoff.
    Labels are zero. The structures must be fewer than ``size`` holds.
    """
    atoms = size.atoms - graph.positions.shape[0]
    edges = size.edges - graph.num_edges
    cell = 2.0 * cutoff * torch.eye(3, dtype=graph.cell.dtype, device=graph.cell.device)
    image = graph.shifts.new_tensor([0.0, 1.0, 0.0])
    first = graph.positions.shape[0]
    return AtomicGraph(
        positions=_grown(graph.positions, atoms),
        numbers=torch.cat([graph.numbers, graph.numbers[:1].expand(atoms)]),  # an element that the model knows
        cell=torch.cat([graph.cell, cell[None]]),
        pbc=_grown(graph.pbc, 1),
        edge_index=torch.cat([graph.edge_index, graph.edge_index.new_full((2, edges), first)], dim=1),
        shifts=torch.cat([graph.shifts, image.expand(edges, 3)]),
        batch=torch.cat([graph.batch, graph.batch.new_full((atoms,), graph.num_graphs)]),
        labels={
            name: _grown(value, atoms if quantity(name).per == "atom" else 1) for name, value in graph.labels.items()
        },
        fixed=None if graph.fixed is None else _grown(graph.fixed, atoms),
        partly_fixed=None if graph.partly_fixed is None else _grown(graph.partly_fixed, atoms),
    )


def pad_corrupted(batch: CorruptedGraph, size: BatchSize, cutoff: float) -> CorruptedGraph:
    """As :func:`pad`; the atoms added are not corrupted."""
    atoms = size.atoms - batch.corrupted.shape[0]
    return CorruptedGraph(
        graph=pad(batch.graph, size, cutoff),
        corrupted=_grown(batch.corrupted, atoms),
        noise=_grown(batch.noise, atoms),
        encoded_forces=_grown(batch.encoded_forces, atoms),
        repulsion_energy=_grown(batch.repulsion_energy, 1),
        repulsion_forces=_grown(batch.repulsion_forces, atoms),
        repulsion_stress=_grown(batch.repulsion_stress, 1),
    )


def _grown(x: Tensor, rows: int) -> Tensor:
    """With rows of zeros at the end."""
    return torch.cat([x, x.new_zeros((rows, *x.shape[1:]))])
