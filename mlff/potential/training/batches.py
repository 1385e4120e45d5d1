"""The batches of a run, entered at any point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.utils.data import Sampler

from mlff.data import BatchSampler
from mlff.graph import AtomicGraph


class GraphSource(Protocol):
    """Labelled graphs by index; ``mlff.data.GraphDataset`` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> AtomicGraph: ...


@dataclass(frozen=True)
class Position:
    """Point of a run: ``index`` steps of epoch ``epoch`` (both from zero) have been taken."""

    epoch: int = 0
    index: int = 0


@dataclass
class StepSampler(Sampler[list[int]]):
    """Batch sampler that yields the frame indices of each remaining step of a run.

    The whole run is one pass, so that it can start at any position of any epoch.

    Attributes:
        source: batches by epoch.
        start: where to begin.
        steps: number of steps to yield.
    """

    source: BatchSampler
    start: Position
    steps: int

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        left = self.steps
        epoch, index = self.start.epoch, self.start.index
        while left > 0:
            for batch in self.source.batches(epoch)[index : index + left]:
                yield batch
                left -= 1
            epoch, index = epoch + 1, 0


def graph_batches(
    graphs: GraphSource, indices: Sequence[int], batch_size: int, device: torch.device | str
) -> Iterator[AtomicGraph]:
    """Batches of ``batch_size`` graphs in the order of ``indices``, on ``device``."""
    for start in range(0, len(indices), batch_size):
        chunk = [graphs[i] for i in indices[start : start + batch_size]]
        yield AtomicGraph.collate(chunk).to(device=device)
