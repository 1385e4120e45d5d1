"""Batches of frame indices: seeded, epoch-aware, bounded in edges, shared between processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from torch.utils.data import Sampler

from mlff.data.splits import seeded_permutation

# Frames are sorted by edges within windows of this many batches, so that batches are even and still random.
_WINDOW = 16


@dataclass(eq=False)
class BatchSampler(Sampler[list[int]]):
    """Batches for the `batch_sampler` argument of a `torch.utils.data.DataLoader`.

    The batches of an epoch depend on the arguments, the seed and the epoch alone, so a resumed run that sets its epoch
    sees what an uninterrupted one would. No frame is dropped: the last batch may be small, and with several processes
    the list of batches is filled up to a multiple of `world_size` by repeating batches from its start.

    Args:
        edge_counts: edges of each frame (`GraphDataset.edge_counts`).
        batch_size: largest number of frames in a batch.
        shuffle: new random order in every epoch; False keeps the order of the data set (but for `bucket`).
        seed: of the order.
        max_edges: a batch is closed before it exceeds this number of edges; a frame that exceeds it alone forms a batch
            of its own. With shuffling the number of batches then varies from epoch to epoch (`fixed_length` is False),
            and a trainer has to ask for `len` in every epoch.
        bucket: put frames of similar edge counts together, which evens out memory and time.
        rank, world_size: this process and the number of processes; each gets every `world_size`-th batch.

    Raises:
        ValueError: an argument out of range.
    """

    edge_counts: Sequence[int] | np.ndarray
    batch_size: int
    _: KW_ONLY
    shuffle: bool = True
    seed: int = 0
    max_edges: int | None = None
    bucket: bool = False
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {self.batch_size}")
        if self.max_edges is not None and self.max_edges < 1:
            raise ValueError(f"max_edges must be at least 1 or None; got {self.max_edges}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative; got {self.seed}")
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must lie in 0..world_size-1; got rank {self.rank} of {self.world_size}")
        self._sizes = np.asarray(self.edge_counts, dtype=np.int64)
        self.epoch = 0
        self.start_batch = 0
        self._drawn: tuple[int, list[list[int]]] | None = None

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Chooses the epoch; `start_batch` leaves out that many batches of this process, to resume within an epoch."""
        if epoch < 0 or start_batch < 0:
            raise ValueError(f"epoch and start_batch must not be negative; got {epoch}, {start_batch}")
        self.epoch = epoch
        self.start_batch = start_batch

    @property
    def sampler(self) -> BatchSampler:
        """Itself: Lightning looks for `set_epoch` at ``batch_sampler.sampler``."""
        return self

    @property
    def fixed_length(self) -> bool:
        """Whether all epochs have the same number of batches."""
        return self.max_edges is None or not self.shuffle

    def __len__(self) -> int:
        return max(len(self.batches(self.epoch)) - self.start_batch, 0)

    def __iter__(self) -> Iterator[list[int]]:
        yield from self.batches(self.epoch)[self.start_batch :]

    def batches(self, epoch: int) -> list[list[int]]:
        """Frame indices of each batch of this process in an epoch; the last epoch asked for is kept."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = (epoch, self._draw(epoch))
        return self._drawn[1]

    def _draw(self, epoch: int) -> list[list[int]]:
        count = len(self._sizes)
        order = seeded_permutation(count, self.seed, epoch) if self.shuffle else np.arange(count)
        if self.bucket:
            window = _WINDOW * self.batch_size
            for start in range(0, count, window):
                part = order[start : start + window]
                order[start : start + window] = part[np.argsort(self._sizes[part], kind="stable")]
        batches = self._pack(order)
        if self.bucket and self.shuffle:
            # A stream of its own, so that it is not the permutation of the frames.
            batches = [batches[i] for i in seeded_permutation(len(batches), self.seed, epoch, 1)]
        shortfall = -len(batches) % self.world_size
        batches += [batches[i % len(batches)] for i in range(shortfall)]
        return batches[self.rank :: self.world_size]

    def _pack(self, order: np.ndarray) -> list[list[int]]:
        batches: list[list[int]] = []
        budget = np.inf if self.max_edges is None else self.max_edges
        edges = 0
        for index in order.tolist():
            size = int(self._sizes[index])
            if not batches or len(batches[-1]) == self.batch_size or edges + size > budget:
                batches.append([])
                edges = 0
            batches[-1].append(index)
            edges += size
        return batches
