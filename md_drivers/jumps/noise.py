"""The random numbers of replicas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_BLOCK = 8  # jumps whose noise is drawn at once; part of what a seed means


class ReplicaNoise:
    """Noise of jumps that depends on the seed, the replica and the step alone, not on what else runs.

    Args:
        seed: of all replicas.
        atom_mask: [N,C] bool, the atoms that noise is drawn for.
        num_noises: K, for each jump.
    """

    def __init__(self, seed: int, atom_mask: Tensor, num_noises: int) -> None:
        self._seed = seed
        self._mask = atom_mask.cpu()
        self._shape = (_BLOCK, num_noises, int(self._mask.sum()), 3)
        self._block = -1
        self._replicas: tuple[int, ...] = ()
        self._drawn = np.empty(0)

    def __call__(self, step: int, replicas: Sequence[int]) -> Tensor:
        """[K,R,N,3,C] float64 for the jump that follows a step, on the CPU; zero where there is no atom."""
        block, place = divmod(step, _BLOCK)
        if (block, tuple(replicas)) != (self._block, self._replicas):
            self._block, self._replicas = block, tuple(replicas)
            draws = [np.random.default_rng([self._seed, r, block]).standard_normal(self._shape) for r in replicas]
            self._drawn = np.stack(draws, axis=2)  # [block,K,R,M,3]
        values = torch.from_numpy(self._drawn[place])
        noise = torch.zeros(*values.shape[:2], *self._mask.shape, 3, dtype=torch.float64)
        noise[:, :, self._mask] = values
        return noise.transpose(-1, -2)
