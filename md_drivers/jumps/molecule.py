"""Jumps of one molecule that is given with all its atoms, for engines with structures of their own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch

from md_drivers.common.errors import StructureError
from md_drivers.jumps.errors import JumpFailed
from md_drivers.jumps.hydrogens import RidingHydrogens
from md_drivers.jumps.noise import ReplicaNoise
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import CloudLayout, TensorCloud
from mlff.proteins import StructureError as CloudError

if TYPE_CHECKING:
    from mdtraj import Topology

_log = logging.getLogger(__name__)


class MoleculeJumper:
    """Heavy atoms jump, hydrogens ride on them (:class:`RidingHydrogens`).

    With the same seed the heavy atoms make the jumps of replica 0 of :func:`md_drivers.jumps.rollout`.

    Args:
        model: that jumps.
        topology: of all atoms; bonds are not needed.
        positions: [A,3] in Å.
        lag: ps.
        seed: of the random numbers.
        latent_steps: of a jump; ``None``: the model's own.

    Attributes:
        layout: of the heavy atoms.
        lag: ps.
        jumps: made so far.

    Raises:
        StructureError: an unknown residue, missing atoms, a broken chain, or hydrogens without a heavy atom.
        ValueError: a lag that the model was not trained for.
    """

    def __init__(
        self,
        model: LoadedJump,
        topology: Topology,
        positions: np.ndarray,
        lag: float,
        seed: int = 0,
        latent_steps: int | None = None,
    ) -> None:
        model.check_lag(lag)
        self._model, self.lag, self._steps = model, float(lag), latent_steps
        try:
            self.layout = CloudLayout.of(topology)
            self.heavy = self.layout.heavy_atoms.numpy()
            untrained = model.untrained_residues(self._cloud(positions))
        except CloudError as error:
            raise StructureError(str(error)) from error
        if untrained:
            _log.warning("the model was not trained on %s", ", ".join(untrained))
        self.hydrogens = np.setdiff1d(np.arange(topology.n_atoms), self.heavy)
        self._riding = RidingHydrogens(self.layout, positions[self.heavy], positions[self.hydrogens])
        self._noise = ReplicaNoise(seed, self.layout.atom_mask, model.num_noises(latent_steps))
        self.jumps = 0

    def jump(self, positions: np.ndarray) -> np.ndarray:
        """Positions [A,3] in Å after a jump.

        Raises:
            StructureError: the chain is broken before the jump.
            JumpFailed: it is broken after it, or coordinates are not finite.
        """
        try:
            cloud = self._cloud(positions)
        except CloudError as error:
            raise StructureError(str(error)) from error
        noise = self._noise(self.jumps, [0])[:, 0]
        self.jumps += 1
        jumped = self._model.jump(cloud, self.lag, noise=noise, steps=self._steps).to("cpu", torch.float64)
        try:
            self.layout.check_chains(jumped)  # fails for what is no number, too
        except CloudError as error:
            raise JumpFailed(f"jump {self.jumps} broke the molecule: {error}".split(";")[0]) from error
        heavy = self.layout.atoms(jumped).numpy()
        moved = np.empty_like(positions, dtype=np.float64)
        moved[self.heavy] = heavy
        moved[self.hydrogens] = self._riding.place(positions[self.heavy], positions[self.hydrogens], heavy)
        return moved

    def _cloud(self, positions: np.ndarray) -> TensorCloud:
        cloud = self.layout.cloud(torch.from_numpy(np.asarray(positions, dtype=np.float64)[self.heavy]))
        self.layout.check_chains(cloud)
        return cloud
