"""How far a molecule moves within itself in a lag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mlff.trajectories.format import Split
from mlff.trajectories.pairs import make_batch
from mlff.trajectories.reading import SystemData
from mlff.trajectories.sampler import fixed_pairs


class Displacement(NamedTuple):
    """Root mean squares of one Cartesian component, Å: the scale of the noise of a transport.

    Attributes:
        anchors: of the anchors.
        vectors: of the vectors from the anchors to the other heavy atoms.
    """

    anchors: float
    vectors: float


def displacement(systems: Sequence[SystemData], lag: float, split: Split = "train", pairs: int = 1000) -> Displacement:
    """Mean over all residues (atoms) of all systems of target minus source, superposed.

    Args:
        systems: data.
        lag: ps.
        split: train, val or test.
        pairs: of each system, evenly spread.

    Raises:
        DataError: no system with the split, or a lag that a system cannot have.
    """
    squares, counts = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for indices in fixed_pairs(systems, split, [lag], pairs):
        batch = make_batch(systems, indices)
        moved = (batch.target.coordinates - batch.source.coordinates).double().square()
        mask = batch.source.atom_mask
        squares += torch.stack([moved[..., 0].sum(), moved[..., 1:].sum()])
        counts += 3 * torch.stack([mask[..., 0].sum(), mask[..., 1:].sum()])
    anchors, vectors = (squares / counts.clamp(min=1)).sqrt().tolist()
    return Displacement(anchors, vectors)
