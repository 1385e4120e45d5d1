"""What a simulation reports, on its way and in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from md_drivers.common.errors import CalculationError


@dataclass(frozen=True)
class Sample:
    """A simulation at one time.

    Attributes:
        step, time: since the start; ps.
        potential, kinetic: eV.
        temperature: of the kinetic energy, K.
        volume: A^3, ``None`` without box.
        density: g/cm^3, ``None`` without box.
        positions: [N, 3] in A, molecules whole.
        box: [3, 3] in A as rows, ``None`` without.
        uncertainty: of the components of the model's forces, root mean square, eV/A; ``None`` where it has none.
    """

    step: int
    time: float
    potential: float
    kinetic: float
    temperature: float
    volume: float | None
    density: float | None
    positions: np.ndarray
    box: np.ndarray | None
    uncertainty: float | None = None

    @property
    def total(self) -> float:
        """Potential and kinetic energy, eV."""
        return self.potential + self.kinetic


@dataclass(frozen=True)
class Progress:
    """How far a simulation is.

    Attributes:
        step, steps: done, and in all.
        speed: since the start or the resumption, ns/day.
        sample: what was just written, ``None`` between frames.
    """

    step: int
    steps: int
    speed: float
    sample: Sample | None


@dataclass(frozen=True)
class SimulationResult:
    """Outcome of a simulation.

    Attributes:
        folder: with the files.
        steps: since the start, those before a resumption included.
        time: ps.
        stopped: it was asked to stop before the last step.
        temperature: mean over the frames, K; ``None`` without frames.
        speed: ns/day.
        broken_bonds: bonds of the topology that were found broken in a frame, with the step of the first such frame.
        exact: random numbers went on as without interruption.
        outside: what lay outside of the training data of the model, by kind.
    """

    folder: Path
    steps: int
    time: float
    stopped: bool
    temperature: float | None
    speed: float
    broken_bonds: dict[str, int] = field(default_factory=dict)
    exact: bool = True
    outside: dict[str, str] = field(default_factory=dict)


class SimulationFailed(CalculationError):
    """A simulation that cannot go on; what it wrote before stays."""
