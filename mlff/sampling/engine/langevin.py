"""One step of Langevin dynamics in the order of OpenMM's `LangevinMiddleIntegrator` (Zhang et al. 2019,
doi:10.1021/acs.jpca.9b02771), with fixed bonds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mlff.sampling.engine.bonded import Bonded
from mlff.sampling.engine.constraints import Constraints
from mlff.sampling.engine.nonbonded import Nonbonded

_BOLTZMANN = 8.31446261815324e-3  # kJ/mol/K


class LangevinStep:
    """Positions and velocities after a step.

    Args:
        bonded, nonbonded: the forces.
        constraints: None where no bond is fixed.
        masses: [N] amu.
        time_step: ps.
        temperature: K.
        friction: 1/ps.
        dtype: of the parameters.
    """

    def __init__(
        self,
        bonded: Bonded,
        nonbonded: Nonbonded,
        constraints: Constraints | None,
        masses: Tensor,
        *,
        time_step: float,
        temperature: float,
        friction: float,
        dtype: torch.dtype,
    ) -> None:
        self.bonded, self.nonbonded, self.constraints = bonded, nonbonded, constraints
        self.time_step = time_step
        self.kept = math.exp(-friction * time_step)
        self.inverse_masses = (1 / masses).to(dtype).unsqueeze(-1)
        self.thermal = (_BOLTZMANN * temperature / masses).sqrt().to(dtype).unsqueeze(-1)

    def forces(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Energies [C] in kJ/mol and forces [3,N,C] in kJ/mol/nm."""
        bonded, nonbonded = self.bonded(positions), self.nonbonded(positions)
        return bonded[0] + nonbonded[0], bonded[1] + nonbonded[1]

    def __call__(self, positions: Tensor, velocities: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """[3,N,C] nm, [3,N,C] nm/ps and normal random numbers [3,N,C] to positions and velocities a step later."""
        half = 0.5 * self.time_step
        _, forces = self.forces(positions)
        velocities = self.tangent(velocities + self.time_step * self.inverse_masses * forces, positions)
        mixed = self.kept * velocities + math.sqrt(1 - self.kept**2) * self.thermal * noise
        free = positions + half * velocities + half * mixed
        if self.constraints is None:
            return free, mixed
        moved = self.constraints.fix_positions(free, positions)
        return moved, mixed + (moved - free) / self.time_step

    def draw(self, noise: Tensor, positions: Tensor) -> Tensor:
        """Velocities [3,N,C] of the temperature from normal random numbers."""
        return self.tangent(self.thermal * noise, positions)

    def tangent(self, velocities: Tensor, positions: Tensor) -> Tensor:
        """Velocities without the part that would change fixed bonds."""
        return velocities if self.constraints is None else self.constraints.fix_velocities(velocities, positions)
