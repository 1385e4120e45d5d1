"""Groups that hold all rotations about an axis, or all rotations: of linear molecules and of single atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from mlff.support.errors import InputError
from mlff.symmetry.elements import Matrix, rotation

#: Each with the finite groups that stand in for it, n large.
LIMITS = {"C∞": "C{}", "C∞v": "C{}v", "C∞h": "C{}h", "D∞": "D{}", "D∞h": "D{}h", "K": "I", "Kh": "Ih"}


@dataclass(frozen=True, eq=False)
class LimitGroup:
    """An infinite point group.

    Attributes:
        name: C∞, C∞v, C∞h, D∞, D∞h, K (all rotations) or Kh = O(3).
        frame: [3, 3] rotation out of the standard orientation, in which the axis is z.
    """

    name: str
    frame: Matrix

    def __repr__(self) -> str:
        return f"<{self.name}, infinite>"

    def __len__(self) -> int:
        raise InputError(f"{self.name} has infinitely many operations; name a finite group, such as {self.example}")

    @property
    def matrices(self) -> Matrix:
        """There is no list of them.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.name} has infinitely many operations; name a finite group, such as {self.example}")

    @property
    def is_axial(self) -> bool:
        """Whether there is one axis; K and Kh have all."""
        return not self.name.startswith("K")

    @property
    def axis(self) -> Matrix | None:
        """[3] the axis; None where every direction is one."""
        return self.frame[:, 2] if self.is_axial else None

    @property
    def example(self) -> str:
        """Name of a finite subgroup."""
        return self.stand_in(4)

    def stand_in(self, n: int) -> str:
        """Name of a finite subgroup that has the same invariants up to degree n − 1; of K and Kh up to degree 5.

        >>> limit_group("D∞h").stand_in(9)
        'D9h'
        """
        return LIMITS[self.name].format(n)

    def contains(self, matrix: Matrix) -> bool:
        """Whether an orthogonal matrix [3, 3] is one of the operations."""
        proper = bool(np.linalg.det(matrix) > 0)
        if not self.is_axial:
            return proper or self.name == "Kh"
        image = float(self.frame[:, 2] @ matrix @ self.frame[:, 2])
        if abs(abs(image) - 1.0) > 1e-6:
            return False
        up = image > 0
        return {"C∞": proper and up, "C∞v": up, "C∞h": proper == up, "D∞": proper, "D∞h": True}[self.name]

    def sample(self, rng: np.random.Generator) -> Matrix:
        """An operation [3, 3], all equally likely."""
        flip = np.eye(3)
        if not self.is_axial:
            turn = Rotation.random(random_state=rng).as_matrix()
        else:
            turn = rotation((0.0, 0.0, 1.0), float(rng.uniform()))
            if self.name.startswith("D") and rng.integers(2):
                flip = np.diag([1.0, -1.0, -1.0])
        if self.name in ("C∞h", "D∞h") and rng.integers(2):
            flip = flip @ np.diag([1.0, 1.0, -1.0])
        if self.name == "C∞v" and rng.integers(2):
            flip = np.diag([1.0, -1.0, 1.0])
        if self.name == "Kh" and rng.integers(2):
            flip = -flip
        return self.frame @ turn @ flip @ self.frame.T

    def turned(self, rotation: Matrix) -> LimitGroup:
        """The same group in another orientation."""
        return LimitGroup(self.name, rotation @ self.frame)


def limit_group(name: str) -> LimitGroup:
    """One of the infinite groups, with the axis z."""
    return LimitGroup(name, np.eye(3))
