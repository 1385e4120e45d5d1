"""Contacts between residues, and fluctuations of atoms about their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlff.analysis.ensemble import Ensemble
from mlff.proteins.alignment import kabsch_rotation
from mlff.support.units import ANGSTROM_PER_NM

if TYPE_CHECKING:
    from mdtraj import Trajectory

Array = NDArray[np.float64]

CONTACT = 4.5  # Å, between the nearest heavy atoms of two residues
_SHORT = 5  # residues; chains of so few have no neighbours at distance three


class StructureSums:
    """Contacts of residues and positions after superposition on the mean structure of the reference.

    Args:
        reference: gives the molecule and the mean structure.
    """

    def __init__(self, reference: Ensemble) -> None:
        count = reference.topology.n_residues
        apart = 3 if count >= _SHORT else 2
        #: Pairs of residues whose contacts are counted.
        self.pairs = [(i, j) for i in range(count) for j in range(i + apart, count)]
        self._mean = _mean_structure(reference)

    def contacts(self, trajectory: Trajectory) -> Array:
        """[F, 1 + pairs]: one, and whether the residues of a pair are in contact."""
        import mdtraj

        ones = np.ones((trajectory.n_frames, 1))
        if not self.pairs:
            return ones
        distances = mdtraj.compute_contacts(trajectory, self.pairs, scheme="closest-heavy", periodic=False)[0]
        return np.concatenate([ones, ANGSTROM_PER_NM * distances < CONTACT], axis=1)

    def fluctuation(self, trajectory: Trajectory) -> Array:
        """[F, 1 + 4M]: one, the superposed positions and their squared lengths, in Å and Å²."""
        xyz = _superposed(trajectory, self._mean)
        squares = np.square(xyz).sum(-1)
        return np.concatenate([np.ones((len(xyz), 1)), xyz.reshape(len(xyz), -1), squares], axis=1)


def contact_probabilities(sums: Array) -> Array:
    """[pairs], of sums of ``StructureSums.contacts``."""
    return sums[1:] / sums[0]


def rmsf(sums: Array) -> Array:
    """[M] in Å, root mean square fluctuation of each atom, of sums of ``StructureSums.fluctuation``."""
    atoms = (len(sums) - 1) // 4
    mean = sums[1 : 1 + 3 * atoms].reshape(atoms, 3) / sums[0]
    return np.sqrt(np.maximum(sums[1 + 3 * atoms :] / sums[0] - np.square(mean).sum(-1), 0.0))


def _mean_structure(reference: Ensemble) -> Array:
    """[M,3] in Å: frames superposed on the first one, averaged, superposed on that average, averaged again."""
    mean = ANGSTROM_PER_NM * reference.trajectories[0].xyz[0].astype(np.float64)
    mean -= mean.mean(0)
    for _ in range(2):
        total = np.sum([_superposed(part, mean).sum(0) for part in reference.trajectories], axis=0)
        mean = total / reference.frames
    return mean


def _superposed(trajectory: Trajectory, target: Array) -> Array:
    """[F,M,3] in Å, about the origin; MDTraj's superposition complains aloud about structures that fell apart."""
    xyz = torch.from_numpy(ANGSTROM_PER_NM * trajectory.xyz.astype(np.float64))
    xyz = xyz - xyz.mean(1, keepdim=True)
    rotation = kabsch_rotation(xyz, torch.from_numpy(target), torch.ones(xyz.shape[1], dtype=torch.bool))
    return (xyz @ rotation.mT).numpy()
