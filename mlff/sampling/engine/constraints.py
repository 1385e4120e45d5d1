"""Bonds of fixed length, all at once in every copy.

The equations for the multipliers couple bonds that share an atom. Their matrix hardly depends on where the atoms are,
so one inverse, of the given geometry, serves all steps and copies; a few repetitions take care of the rest (CCMA:
Eastman and Pande 2010, doi:10.1021/ct900463w).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# In methyl groups with heavy hydrogens a repetition leaves some 10 % of an error, at worst 20 to 30 %. Errors of
# positions are small from the start, those of velocities are not.
_REPETITIONS = 5
_REPETITIONS_OF_VELOCITIES = 9


class Constraints:
    """Fixed distances.

    Args:
        bonds: (i, j, length nm).
        inverse_masses: [N], 1/amu.
        positions: [N,3] nm, a geometry like all others.
        dtype: of the parameters.
    """

    def __init__(
        self, bonds: Sequence[tuple[int, int, float]], inverse_masses: Tensor, positions: Tensor, dtype: torch.dtype
    ) -> None:
        first = torch.tensor([bond[0] for bond in bonds], dtype=torch.long)
        second = torch.tensor([bond[1] for bond in bonds], dtype=torch.long)
        lengths = torch.tensor([bond[2] for bond in bonds], dtype=torch.float64)
        one_hot = nn.functional.one_hot(torch.cat([first, second]), len(positions)).to(torch.float64)
        ends = one_hot[: len(bonds)] - one_hot[len(bonds) :]  # [M,N], +1 and -1
        directions = nn.functional.normalize(positions[first] - positions[second], dim=-1)
        vectors = lengths.unsqueeze(-1) * directions
        coupling = (vectors @ vectors.T) * (ends @ (inverse_masses.unsqueeze(-1) * ends.T))
        self.first = first
        self.second = second
        self.squared = lengths.square().to(dtype).unsqueeze(-1)
        self.inverse = torch.linalg.inv(coupling).to(dtype)
        self.shares = (inverse_masses.unsqueeze(-1) * ends.T).to(dtype)

    def fix_positions(self, moved: Tensor, before: Tensor) -> Tensor:
        """Positions [3,N,C] with the right lengths, moved along the bonds of positions ``before``, which have them."""
        bonds = before[:, self.first] - before[:, self.second]
        for _ in range(_REPETITIONS):
            now = moved[:, self.first] - moved[:, self.second]
            error = 0.5 * (self.squared - now.square().sum(0))
            moved = moved + self.shares @ ((self.inverse @ error) * bonds)
        return moved

    def fix_velocities(self, velocities: Tensor, positions: Tensor) -> Tensor:
        """Velocities [3,N,C] that leave the lengths as they are."""
        bonds = positions[:, self.first] - positions[:, self.second]
        for _ in range(_REPETITIONS_OF_VELOCITIES):
            now = velocities[:, self.first] - velocities[:, self.second]
            velocities = velocities - self.shares @ ((self.inverse @ (now * bonds).sum(0)) * bonds)
        return velocities
