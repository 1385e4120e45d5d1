"""Division of frames into training, validation and test parts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlff.support.errors import DataError

PARTS = ("train", "val", "test")
_LEFT_OUT = "left out"


@dataclass(frozen=True)
class SplitIndices:
    """Indices of the frames of each part, in the order drawn; disjoint."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def seeded_permutation(count: int, *seeds: int) -> np.ndarray:
    """Permutation of ``range(count)`` that depends on the seeds alone: not on platform or NumPy version.

    NumPy guarantees the raw stream of its bit generators (NEP 19), not that of `Generator.permutation`; so the
    permutation is the order of raw 64-bit draws.
    """
    draws = np.random.PCG64(list(seeds)).random_raw(count) if count else np.zeros(0, dtype=np.uint64)
    return np.argsort(draws, kind="stable")


def random_split(
    count: int, train: float, val: float, test: float, *, seed: int = 0, clusters: Sequence[Hashable] | None = None
) -> SplitIndices:
    """Seeded random split of `count` frames.

    Args:
        train, val, test: fractions (floats adding up to at most 1) or numbers of frames (integers). Fractions are
            rounded for val and test; train takes the rest when they add up to 1. 0 leaves a part out.
        seed: the same seed gives the same split everywhere.
        clusters: one key for each frame; frames of equal key (duplicates) stay in one part, whose boundary moves to the
            end of the cluster it would cut, so parts may then be larger or smaller than asked for.

    Raises:
        DataError: not enough frames for the parts asked for.
    """
    sizes = _sizes(count, (train, val, test))
    order = seeded_permutation(count, seed)
    if clusters is not None:
        if len(clusters) != count:
            raise ValueError(f"{len(clusters)} cluster keys for {count} frames")
        members: dict[Hashable, list[int]] = {}
        for index in order:
            members.setdefault(clusters[index], []).append(int(index))
        order = np.array([index for cluster in members.values() for index in cluster], dtype=np.int64)
        first = np.array([place == 0 for cluster in members.values() for place in range(len(cluster))] + [True])
    else:
        first = np.ones(count + 1, dtype=bool)
    # Test first: changing how much is trained on leaves the test frames as they are.
    parts: dict[str, np.ndarray] = {}
    start = 0
    for name in ("test", "val", "train"):
        stop = start + sizes[name]
        while not first[min(stop, count)]:
            stop += 1
        parts[name] = order[start:stop]
        start = min(stop, count)
        if sizes[name] and not len(parts[name]):
            raise DataError(
                f"no frames left for the {name} part of a split of {count} frames",
                hint="duplicates are kept in one part: remove them or give more data",
            )
    return SplitIndices(**parts)


def group_split(groups: Sequence[str], train: float, val: float, test: float, *, seed: int = 0) -> SplitIndices:
    """Seeded split that never divides a group.

    Groups are drawn in random order; each goes to the part that lacks most frames, so the fractions (of frames) are met
    as well as the groups allow; every part asked for gets at least one group. Fractions of less than 1 in all leave
    groups out.

    Raises:
        DataError: fewer groups than parts.
    """
    count = len(groups)
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    # Sorted, so that the draw does not depend on the order of the frames.
    names = sorted(members)
    wanted = {name: share * count for name, share in zip(PARTS, (train, val, test), strict=True) if share > 0}
    if len(names) < len(wanted):
        raise DataError(
            f"{len(names)} group(s) cannot fill the {len(wanted)} parts {', '.join(wanted)}",
            hint="group by another key, set a fraction to 0, or split at random",
        )
    total = sum(wanted.values())
    lacking = {name: share * count / max(total, count) for name, share in wanted.items()}
    if total < (1 - 1e-9) * count:
        lacking[_LEFT_OUT] = count - total
    filled: dict[str, list[int]] = {name: [] for name in (*PARTS, _LEFT_OUT)}
    for place, draw in enumerate(seeded_permutation(len(names), seed)):
        empty = [name for name in wanted if not filled[name]]
        candidates = empty if len(names) - place == len(empty) else list(lacking)
        part = max(candidates, key=lambda name: lacking[name])
        filled[part] += members[names[draw]]
        lacking[part] -= len(members[names[draw]])
    return SplitIndices(**{name: np.array(sorted(filled[name]), dtype=np.int64) for name in PARTS})


def read_indices(path: Path, count: int) -> np.ndarray:
    """Frame indices from a .npy file or a text of integers separated by white space or commas.

    Raises:
        DataError: unreadable, not integers, outside 0..count-1, or repeated.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path, mmap_mode="r", allow_pickle=False).reshape(-1)
            if values.dtype.kind not in "iu":
                raise ValueError(f"type {values.dtype}")
            indices = values.astype(np.int64)
        else:
            indices = np.array([int(word) for word in path.read_text().replace(",", " ").split()], dtype=np.int64)
    except (OSError, ValueError, OverflowError, EOFError) as error:
        raise DataError(f"not a readable list of frame indices ({error})", file=path) from error
    if not len(indices):
        raise DataError("holds no indices", file=path)
    outside = indices[(indices < 0) | (indices >= count)]
    if len(outside):
        raise DataError(f"index {outside[0]} is outside 0..{count - 1}", file=path, hint="indices count from 0")
    unique, counts = np.unique(indices, return_counts=True)
    if len(unique) != len(indices):
        raise DataError(f"index {unique[counts > 1][0]} is repeated", file=path)
    return indices


def index_split(train: np.ndarray, val: np.ndarray, test: np.ndarray) -> SplitIndices:
    """The split given by three index arrays, or masks of booleans.

    Raises:
        DataError: an index is in two parts.
    """
    arrays = [np.flatnonzero(part) if part.dtype == bool else part for part in (train, val, test)]
    parts = dict(zip(PARTS, arrays, strict=True))
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = np.intersect1d(parts[first], parts[second])
        if len(shared):
            raise DataError(f"frame index {shared[0]} is in both {first} and {second}", hint="make the parts disjoint")
    return SplitIndices(**parts)


def _sizes(count: int, shares: tuple[float, float, float]) -> dict[str, int]:
    if any(share < 0 for share in shares):
        raise ValueError(f"negative share in {shares}")
    if any(isinstance(share, float) and share for share in shares):
        if sum(shares) > 1 + 1e-9:
            raise ValueError(f"fractions {shares} add up to more than 1")
        val, test = (_rounded(share * count) for share in shares[1:])
        whole = abs(sum(shares) - 1) < 1e-9
        rest = count - val - test
        train = rest if whole else min(rest, _rounded(shares[0] * count))
        # Small sets: no part asked for goes empty while training frames are left.
        if shares[1] and not val and train > 1:
            train, val = train - 1, 1
        if shares[2] and not test and train > 1:
            train, test = train - 1, 1
        sizes = {"train": train, "val": val, "test": test}
    else:
        sizes = {name: int(share) for name, share in zip(PARTS, shares, strict=True)}
    short = [name for name, share in zip(PARTS, shares, strict=True) if share and sizes[name] < 1]
    if short or sum(sizes.values()) > count:
        raise DataError(
            f"{count} frames cannot be divided into train, val, test = {', '.join(f'{s:g}' for s in shares)}",
            hint="give more data or smaller shares",
        )
    return sizes


def _rounded(value: float) -> int:
    """Half up, so that 0.5 does not depend on parity."""
    return int(np.floor(value + 0.5))
