"""Ensembles that must fail: each shows that a metric can tell the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlff.analysis.ensemble import Ensemble
from mlff.proteins.alignment import kabsch_rotation

if TYPE_CHECKING:
    from mdtraj import Trajectory

Array = NDArray[np.float64]

_MOST_PAIRS = 5_000
_MOST_FRAMES = 100_000

NO_OP, SHUFFLED, WALK = "no-op", "shuffled MD", "random walk"
#: What each control is, and what it has to fail.
DESCRIPTIONS = {
    NO_OP: "frames of MD that never move: right structures, no sampling, no kinetics",
    SHUFFLED: "the frames of MD in random order: right distributions, no kinetics",
    WALK: "frames of MD with Gaussian steps as large as those of MD over one interval: nothing right but the step size",
}


def controls(reference: Ensemble, lengths: Sequence[int], rng: np.random.Generator) -> Iterator[tuple[str, Ensemble]]:
    """The controls by name, made of reference frames.

    Args:
        lengths: frames of each generated trajectory; no-op and random walk have the same shape, up to a limit.
    """
    limit = max(2, _MOST_FRAMES // len(lengths))
    lengths = [min(length, limit) for length in lengths]
    starts = _frames(reference, rng.integers(reference.frames, size=len(lengths)))
    still = [np.repeat(start[None], length, axis=0) for start, length in zip(starts, lengths, strict=True)]
    yield NO_OP, _ensemble(reference, NO_OP, still)

    every = np.concatenate([part.xyz for part in reference.trajectories])[rng.permutation(reference.frames)]
    yield SHUFFLED, _ensemble(reference, SHUFFLED, np.split(every, np.cumsum(reference.lengths)[:-1]))

    step = _step(reference, rng)
    walks = []
    for start, length in zip(starts, lengths, strict=True):
        moves = step * rng.normal(size=(length - 1, *start.shape))
        walks.append(start + np.concatenate([np.zeros((1, *start.shape)), moves.cumsum(0)]))
    yield WALK, _ensemble(reference, WALK, walks)


def _step(reference: Ensemble, rng: np.random.Generator) -> float:
    """Root mean square displacement of a coordinate from frame to frame after superposition, nm."""
    long = [part.xyz for part in reference.trajectories if part.n_frames > 1]
    share = max(1, _MOST_PAIRS // len(long))
    squares = []
    for xyz in long:
        chosen = rng.integers(len(xyz) - 1, size=min(share, len(xyz) - 1))
        pair = (torch.from_numpy(xyz[frames] - xyz[frames].mean(1, keepdims=True)) for frames in (chosen, chosen + 1))
        before, after = pair
        rotation = kabsch_rotation(after, before, torch.ones(before.shape[:2], dtype=torch.bool))
        squares.append(np.square((after @ rotation.mT - before).numpy()).mean())
    return float(np.sqrt(np.mean(squares)))


def _frames(reference: Ensemble, numbers: NDArray[np.int64]) -> Array:
    ends = np.cumsum(reference.lengths)
    owners = np.searchsorted(ends, numbers, side="right")
    within = numbers - np.concatenate([[0], ends])[owners]
    return np.stack([reference.trajectories[k].xyz[i] for k, i in zip(owners, within, strict=True)])


def _ensemble(reference: Ensemble, name: str, frames: Sequence[Array]) -> Ensemble:
    import mdtraj

    trajectories: list[Trajectory] = [mdtraj.Trajectory(xyz.astype(np.float32), reference.topology) for xyz in frames]
    return Ensemble.of(name, trajectories, reference.interval)
