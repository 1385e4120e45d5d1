"""How sure a metric is: noise floor, comparison on equal terms, bootstrap intervals.

The noise floor is what the reference differs from itself: split halves of it, compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlff.analysis.blocks import Blocks
from mlff.analysis.measure import Measurement

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_ENOUGH_TRAJECTORIES = 8  # to draw whole ones


@dataclass(frozen=True)
class MetricGroup:
    """Metrics that compare two ensembles by one description of each; the smaller the better.

    Attributes:
        group: heading in tables.
        names: of the K metrics.
        unit: of all of them, or of each.
        sums: which sums of a measurement they need.
        describe: from summed sums to whatever is compared.
        compare: from the descriptions of reference and other to [K].
    """

    group: str
    names: tuple[str, ...]
    unit: str | tuple[str, ...]
    sums: str
    describe: Callable[[Array], Any]
    compare: Callable[[Any, Any], Array]


@dataclass(frozen=True)
class Spread:
    """Median and 95 % interval of a resampled metric."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Array) -> Spread:
        """Of values [n]; infinite ones count, nan does not."""
        kept = values[~np.isnan(values)]
        if not len(kept):
            return Spread(*[float("nan")] * 3)
        # Whole values, as interpolation between numbers and infinity gives nan.
        low, median, high = np.quantile(kept, [0.025, 0.5, 0.975], method="nearest")
        return Spread(float(median), float(low), float(high))


@dataclass(frozen=True)
class Metric:
    """A comparison of the generated ensemble with the reference.

    Attributes:
        group, name, unit: see ``MetricGroup``.
        value: all generated frames against all reference frames.
        interval: bootstrap of both.
        floor: noise floor, one half of the reference against the other half.
        matched: as much of the generated ensemble as such a half, against the same halves.
        controls: value of each control against all reference frames.
    """

    group: str
    name: str
    unit: str
    value: float
    interval: Spread
    floor: Spread
    matched: Spread
    controls: dict[str, float]

    @property
    def ratio(self) -> float:
        """Median of matched over median of floor: 1 where the ensembles cannot be told apart."""
        return self.matched.median / self.floor.median if self.floor.median > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class Halves:
    """Split halves: random blocks of the reference, as long a rest of it, as long a part of the generated ensemble.

    Attributes:
        splits: (first half, second half, part of the generated ensemble), indices of blocks.
    """

    splits: tuple[tuple[Integers, Integers, Integers], ...]

    @staticmethod
    def of(reference: Blocks, generated: Blocks, number: int, rng: np.random.Generator) -> Halves:
        """Random halves of the blocks; the second half is cut to the duration of the generated ensemble.

        Whole trajectories stay together where there are at least eight of them.
        """
        splits = []
        for _ in range(number):
            order = _shuffled(reference, rng)
            first, second = _halved(order, reference)
            second = _up_to(second, reference.durations, generated.durations.sum())
            part = _up_to(_shuffled(generated, rng), generated.durations, reference.durations[second].sum())
            splits.append((first, second, part))
        return Halves(tuple(splits))


def compare(
    group: MetricGroup,
    reference: Measurement,
    generated: Measurement,
    controls: dict[str, Array],
    halves: Halves,
    resamples: int,
    rng: np.random.Generator,
) -> list[Metric]:
    """All metrics of a group.

    Args:
        controls: summed sums of each control.
        resamples: of the bootstrap.
    """
    sums, other = reference.sums[group.sums], generated.sums[group.sums]
    whole = group.describe(sums.sum(0))
    value = np.atleast_1d(group.compare(whole, group.describe(other.sum(0))))
    floor, matched = [], []
    for first, second, part in halves.splits:
        half = group.describe(sums[first].sum(0))
        floor.append(group.compare(half, group.describe(sums[second].sum(0))))
        matched.append(group.compare(half, group.describe(other[part].sum(0))))
    drawn = [
        group.compare(
            group.describe(_resampled(sums, reference.blocks, rng)),
            group.describe(_resampled(other, generated.blocks, rng)),
        )
        for _ in range(resamples)
    ]
    against = {name: np.atleast_1d(group.compare(whole, group.describe(total))) for name, total in controls.items()}
    columns = [np.array(rows, dtype=np.float64).reshape(-1, len(group.names)) for rows in (drawn, floor, matched)]
    return [
        Metric(
            group=group.group,
            name=name,
            unit=group.unit if isinstance(group.unit, str) else group.unit[k],
            value=float(value[k]),
            interval=Spread.of(columns[0][:, k]),
            floor=Spread.of(columns[1][:, k]),
            matched=Spread.of(columns[2][:, k]),
            controls={control: float(values[k]) for control, values in against.items()},
        )
        for k, name in enumerate(group.names)
    ]


def resampled_totals(sums: Array, blocks: Blocks, resamples: int, rng: np.random.Generator) -> list[Array]:
    """Summed sums of bootstrap resamples, to draw bands."""
    return [_resampled(sums, blocks, rng) for _ in range(resamples)]


def _resampled(sums: Array, blocks: Blocks, rng: np.random.Generator) -> Array:
    """Sum over blocks drawn with replacement; whole trajectories are drawn where there are enough."""
    owners = _owners(blocks)
    count = int(owners.max()) + 1
    weights = np.bincount(rng.integers(count, size=count), minlength=count)[owners]
    total: Array = np.tensordot(weights.astype(np.float64), sums, axes=1)
    return total


def _shuffled(blocks: Blocks, rng: np.random.Generator) -> Integers:
    """The blocks in random order, those of a trajectory together if there are enough trajectories."""
    owners = _owners(blocks)
    rank = rng.permutation(int(owners.max()) + 1)
    return np.argsort(rank[owners], kind="stable")


def _halved(order: Integers, blocks: Blocks) -> tuple[Integers, Integers]:
    """Two parts as equal in duration as can be; between trajectories where these stay together."""
    owners = _owners(blocks)[order]
    ends = 1 + np.flatnonzero(owners[1:] != owners[:-1])
    before = np.cumsum(blocks.durations[order])[ends - 1]
    middle = ends[np.abs(before - blocks.durations.sum() / 2).argmin()]
    return order[:middle], order[middle:]


def _owners(blocks: Blocks) -> Integers:
    """[U], what is drawn as a whole: trajectories if there are enough of them, else blocks."""
    enough = len(blocks.lengths) >= _ENOUGH_TRAJECTORIES
    return blocks.trajectories if enough else np.arange(len(blocks.durations))


def _up_to(order: Integers, durations: Array, most: float) -> Integers:
    """The first blocks, at least one, whose durations come closest to this sum."""
    cumulated = np.cumsum(durations[order])
    return order[: 1 + int(np.abs(cumulated - most).argmin())]
