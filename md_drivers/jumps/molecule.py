"""Jumps of one molecule that is given with all its atoms, for engines with structures of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from md_drivers.common.errors import StructureError
from md_drivers.jumps.errors import JumpFailed
from md_drivers.jumps.hydrogens import RidingHydrogens
from md_drivers.jumps.judgement import judge
from md_drivers.jumps.noise import ReplicaNoise
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import CloudLayout
from mlff.proteins import StructureError as CloudError

if TYPE_CHECKING:
    from mdtraj import Topology


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
        strict: refuse molecules unlike those of the training and distorted starts, instead of a warning.

    Attributes:
        layout: of the heavy atoms.
        familiarity: how far the molecule is from those that the model was trained on.
        lag: ps.
        jumps: made so far.

    Raises:
        StructureError: an unknown residue, missing atoms, positions that are no molecule (:func:`judge`), or hydrogens
            without a heavy atom.
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
        strict: bool = False,
    ) -> None:
        model.check_lag(lag)
        self._model, self.lag, self._steps = model, float(lag), latent_steps
        try:
            self.layout = CloudLayout.of(topology)
        except CloudError as error:
            raise StructureError(str(error)) from error
        self.heavy = self.layout.heavy_atoms.numpy()
        lost = np.flatnonzero(~np.isfinite(positions).all(-1))
        if len(lost):
            raise StructureError(f"the position of atom {lost[0]} ({topology.atom(lost[0])}) is not finite")
        judged = judge(model, self.layout, self._atoms(positions)[None], "the start", strict)
        self.familiarity, self._check = judged.familiarity, judged.integrity
        self.hydrogens = np.setdiff1d(np.arange(topology.n_atoms), self.heavy)
        self._riding = RidingHydrogens(self.layout, positions[self.heavy], positions[self.hydrogens])
        self._noise = ReplicaNoise(seed, self.layout.atom_mask, model.num_noises(latent_steps))
        self.jumps = 0

    def jump(self, positions: np.ndarray) -> np.ndarray:
        """Positions [A,3] in Å after a jump.

        Raises:
            StructureError: the positions are no molecule.
            JumpFailed: the atoms are none after the jump.
        """
        atoms = self._atoms(positions)
        try:
            self._check(atoms[None])
        except CloudError as error:
            raise StructureError(str(error)) from error
        noise = self._noise(self.jumps, [0])[:, 0]
        self.jumps += 1
        cloud = self.layout.cloud(torch.from_numpy(atoms))
        jumped = self._model.jump(cloud, self.lag, noise=noise, steps=self._steps).to("cpu", torch.float64)
        heavy = self.layout.atoms(jumped).numpy()
        try:
            self._check(heavy[None])
        except CloudError as error:
            raise JumpFailed(f"jump {self.jumps} broke the molecule: {error}".split(";")[0]) from error
        moved = np.empty_like(positions, dtype=np.float64)
        moved[self.heavy] = heavy
        moved[self.hydrogens] = self._riding.place(positions[self.heavy], positions[self.hydrogens], heavy)
        return moved

    def _atoms(self, positions: np.ndarray) -> np.ndarray:
        """[M,3] in Å, heavy ones."""
        return np.asarray(positions, dtype=np.float64)[self.heavy]
