"""Pairs of frames as batches for training: centred, aligned, relabelled, padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as replace_fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlff.proteins.alignment import kabsch_rotation
from mlff.proteins.cloud import TensorCloud
from mlff.proteins.relabelling import random_relabelling, relabelled
from mlff.proteins.residues import ANCHOR
from mlff.trajectories.reading import SystemData

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairIndices:
    """Which frames make a batch of B jumps.

    Attributes:
        system: [B] index into the systems.
        trajectory: [B] index into the trajectories of the system.
        frame: [B] index of the source within the trajectory.
        lag: [B] float64, ps from one frame to the next.
        num_targets: frames after the source, each a lag after the one before.
        seed: of the relabelling of equivalent atoms; None: names stay as they are.
    """

    system: Ints
    trajectory: Ints
    frame: Ints
    lag: NDArray[np.float64]
    num_targets: int = 1
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.system)


@dataclass(frozen=True, eq=False)
class JumpBatch:
    """Frames before and after a jump.

    Attributes:
        source: [B,N,...], centred.
        targets: [B,N,...] each; centred, and superposed on the frame before (the first on the source).
        lag: [B] float32, ps between two of them.
    """

    source: TensorCloud
    targets: tuple[TensorCloud, ...]
    lag: Tensor

    @property
    def target(self) -> TensorCloud:
        """The frame one lag after the source."""
        return self.targets[0]

    def __len__(self) -> int:
        return len(self.lag)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> JumpBatch:
        """On ``device``, with coordinates of ``dtype``."""
        targets = tuple(target.to(device, dtype) for target in self.targets)
        return JumpBatch(self.source.to(device, dtype), targets, self.lag.to(device=device, dtype=dtype))

    def pin_memory(self) -> JumpBatch:
        """A copy in page-locked memory."""
        targets = tuple(target.pin_memory() for target in self.targets)
        return replace_fields(self, source=self.source.pin_memory(), targets=targets, lag=self.lag.pin_memory())


def make_batch(systems: Sequence[SystemData], indices: PairIndices, relabel: float = 0.5) -> JumpBatch:
    """The frames of some pairs as padded clouds.

    A target is superposed on its predecessor by all heavy atoms, as `align` does it, and both have the mean of their
    anchors at the origin, so that a jump holds neither diffusion nor tumbling. Names of equivalent atoms are exchanged
    in all frames of a pair alike.

    Args:
        systems: those that the indices count.
        indices: at least one pair.
        relabel: probability of an exchange, for each group of atoms.

    Raises:
        ValueError: no pair.
        IndexError: a target beyond the end of its trajectory.
    """
    if len(indices) == 0:
        raise ValueError("a batch needs at least one pair")
    numbers = np.unique(indices.system)
    members = [np.flatnonzero(indices.system == number) for number in numbers]
    parts = [_system_frames(systems[number], indices, rows) for number, rows in zip(numbers, members, strict=True)]
    frames = [_joined([part[k] for part in parts], members) for k in range(indices.num_targets + 1)]
    if indices.seed is not None and relabel > 0:
        generator = torch.Generator().manual_seed(indices.seed)
        order = random_relabelling(frames[0], relabel, generator)
        frames = [relabelled(frame, order) for frame in frames]
    return JumpBatch(frames[0], tuple(frames[1:]), torch.from_numpy(indices.lag.astype(np.float32)))


def _system_frames(system: SystemData, indices: PairIndices, rows: Ints) -> list[TensorCloud]:
    """Source and targets of the pairs of one system, [b,N,...] each."""
    first = np.array([trajectory.first for trajectory in system.trajectories])
    count = np.array([len(trajectory.atoms) for trajectory in system.trajectories])
    lags, which = np.unique(indices.lag[rows], return_inverse=True)
    stride = np.array([system.stride(float(lag)) for lag in lags])[which]
    frame, trajectory = indices.frame[rows], indices.trajectory[rows]
    if (frame < 0).any() or (frame + indices.num_targets * stride >= count[trajectory]).any():
        raise IndexError(f"{system.name}: a pair reaches beyond the end of its trajectory")
    anchors = system.layout.channels[:, ANCHOR]
    clouds = []
    previous: Tensor | None = None
    for k in range(indices.num_targets + 1):
        atoms = system.atoms[torch.from_numpy(first[trajectory] + frame + k * stride)]
        atoms = atoms - atoms[:, anchors].mean(1, keepdim=True)
        if previous is not None:
            rotation = kabsch_rotation(atoms, previous, torch.ones(atoms.shape[:-1], dtype=torch.bool))
            atoms = torch.matmul(atoms, rotation.transpose(-1, -2))
        previous = atoms
        clouds.append(system.layout.cloud(atoms))
    return clouds


def _joined(clouds: Sequence[TensorCloud], members: Sequence[Ints]) -> TensorCloud:
    """Clouds [b,N,...] of several systems as one [B,N,...], padded at the end of the residues."""
    if len(clouds) == 1:
        return clouds[0]
    size = max(cloud.residues.shape[1] for cloud in clouds)
    padded = [cloud.padded(size) for cloud in clouds]
    joined = {field.name: torch.cat([getattr(cloud, field.name) for cloud in padded]) for field in fields(TensorCloud)}
    return TensorCloud(**joined)[torch.from_numpy(np.argsort(np.concatenate(members)))]
