"""Which pairs a training step sees, as a pure function of its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlff.support.errors import DataError
from mlff.trajectories.balance import cluster_labels
from mlff.trajectories.config import BalanceConfig
from mlff.trajectories.format import Split
from mlff.trajectories.pairs import Ints, JumpBatch, PairIndices, make_batch
from mlff.trajectories.reading import SystemData


@dataclass(frozen=True, eq=False)
class _Starts:
    """Sources of one lag in one system, by cluster.

    Attributes:
        rows: rows of ``SystemData.atoms``, those of a cluster next to each other.
        first, count: where each cluster begins in ``rows``, and its size.
    """

    rows: Ints
    first: Ints
    count: Ints

    def draw(self, random: np.random.Generator, number: int, balance: float) -> Ints:
        """A share ``balance`` has its cluster drawn first, all clusters alike; the others are any source."""
        uniform = random.integers(len(self.rows), size=number)
        cluster = random.integers(len(self.first), size=number)
        member = self.first[cluster] + (random.random(number) * self.count[cluster]).astype(np.int64)
        return self.rows[np.where(random.random(number) < balance, member, uniform)]


class PairSampler:
    """Random pairs of frames of the trajectories of one split.

    A batch holds pairs of ``systems_per_batch`` systems (fewer if there are fewer), drawn alike, equally many of each;
    a pair has one of the lags, drawn alike. Source and targets lie in one trajectory. What step s sees depends on the
    arguments and s only, so that training resumes exactly.

    Args:
        systems: data; those without trajectories of the split are left out.
        split: train, val or test.
        lags: ps.
        batch_size: pairs.
        seed: of all draws.
        balance: share of sources that are drawn cluster by cluster (see `BalanceConfig`); None: all frames alike. Only
            sources are reweighted, never what follows them.
        num_targets: consecutive targets, for training that is unrolled.
        systems_per_batch: few make fast batches.
        relabel: probability with which names of equivalent atoms are exchanged.

    Raises:
        DataError: no system with the split, a lag that a system cannot have, a batch size that is no multiple of the
            number of systems in a batch.
    """

    def __init__(
        self,
        systems: Sequence[SystemData],
        split: Split,
        lags: Sequence[float],
        batch_size: int,
        seed: int = 0,
        *,
        balance: BalanceConfig | None = None,
        num_targets: int = 1,
        systems_per_batch: int = 4,
        relabel: float = 0.5,
    ) -> None:
        self.systems = tuple(systems)
        self.lags = tuple(float(lag) for lag in lags)
        self.batch_size = batch_size
        self.num_targets = num_targets
        self._seed, self._relabel = seed, relabel
        self._balance = 0.0 if balance is None else balance.fraction
        if not self.lags or batch_size < 1 or num_targets < 1 or systems_per_batch < 1:
            raise DataError("pairs need at least one lag, and batch_size, num_targets, systems_per_batch of at least 1")
        self._numbers = _with_split(self.systems, split)
        self._share = min(systems_per_batch, len(self._numbers))
        if batch_size % self._share:
            raise DataError(f"batch_size {batch_size} is no multiple of the {self._share} systems in a batch")
        self._starts: dict[int, list[_Starts]] = {}
        for number in self._numbers:
            system = self.systems[number]
            labels = cluster_labels(system, balance, split) if balance is not None and balance.fraction > 0 else None
            self._starts[number] = [_by_cluster(_sources(system, split, lag, num_targets), labels) for lag in self.lags]

    def indices(self, step: int, rank: int = 0) -> PairIndices:
        """The pairs of a step; ``rank`` tells the processes of a parallel training apart."""
        random = np.random.default_rng([self._seed, step, rank])
        chosen = random.choice(self._numbers, size=self._share, replace=False)
        each = self.batch_size // self._share
        lag = random.integers(len(self.lags), size=self.batch_size)
        rows = np.empty(self.batch_size, dtype=np.int64)
        for k, number in enumerate(chosen.tolist()):
            for which, starts in enumerate(self._starts[number]):
                here = k * each + np.flatnonzero(lag[k * each : (k + 1) * each] == which)
                rows[here] = starts.draw(random, len(here), self._balance)
        system = np.repeat(chosen, each)
        seed = int(random.integers(2**63))
        return _located(self.systems, system, rows, np.array(self.lags)[lag], self.num_targets, seed)

    def batch(self, step: int, rank: int = 0) -> JumpBatch:
        """The frames of a step."""
        return make_batch(self.systems, self.indices(step, rank), self._relabel)


def fixed_pairs(
    systems: Sequence[SystemData], split: Split, lags: Sequence[float], pairs: int, num_targets: int = 1
) -> list[PairIndices]:
    """Pairs to evaluate with: of every system and lag as many as asked for, evenly spread over its sources, or all.

    Raises:
        DataError: no system with the split, or a lag that a system cannot have.
    """
    batches = []
    for number in _with_split(systems, split).tolist():
        for lag in lags:
            rows = _sources(systems[number], split, lag, num_targets)
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(pairs, len(rows))).round().astype(np.int64))]
            repeated = np.full(len(rows), number)
            batches.append(_located(systems, repeated, rows, np.full(len(rows), float(lag)), num_targets, None))
    return batches


def _with_split(systems: Sequence[SystemData], split: Split) -> Ints:
    numbers = [i for i, system in enumerate(systems) if any(t.split == split for t in system.trajectories)]
    if not numbers:
        raise DataError(f"no trajectory has the split {split!r}")
    return np.array(numbers, dtype=np.int64)


def _sources(system: SystemData, split: Split, lag: float, num_targets: int) -> Ints:
    """Rows of ``SystemData.atoms`` with all their targets in the same trajectory."""
    reach = num_targets * system.stride(lag)
    spans = [(t.first, len(t.atoms) - reach) for t in system.trajectories if t.split == split]
    rows = np.concatenate([np.arange(first, first + max(0, number)) for first, number in spans])
    if not len(rows):
        longest = max(number for _, number in spans) + reach
        raise DataError(
            f"{system.name}: its {split} trajectories have at most {longest} frames, too few for {num_targets} "
            f"jump{'s' * (num_targets > 1)} of {lag:g} ps ({reach} frames)"
        )
    return rows.astype(np.int64)


def _by_cluster(rows: Ints, labels: Ints | None) -> _Starts:
    if labels is None:
        return _Starts(rows, np.zeros(1, dtype=np.int64), np.array([len(rows)]))
    order = np.argsort(labels[rows], kind="stable")
    _, first, count = np.unique(labels[rows][order], return_index=True, return_counts=True)
    return _Starts(rows[order], first, count)


def _located(
    systems: Sequence[SystemData],
    system: Ints,
    rows: Ints,
    lag: np.ndarray,
    num_targets: int,
    seed: int | None,
) -> PairIndices:
    trajectory, frame = np.empty_like(rows), np.empty_like(rows)
    for number in np.unique(system):
        here = system == number
        first = np.array([t.first for t in systems[number].trajectories])
        trajectory[here] = np.searchsorted(first, rows[here], side="right") - 1
        frame[here] = rows[here] - first[trajectory[here]]
    return PairIndices(system, trajectory, frame, lag, num_targets, seed)
