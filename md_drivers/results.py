"""What a relaxation reports, per step and in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms


@dataclass(frozen=True)
class RelaxStep:
    """State after an optimizer step (``step`` 0 is the start).

    Attributes:
        name: name of the structure.
        structure: its place in the call, from 0.
        step: optimizer steps taken in this call.
        energy: eV.
        fmax: largest force, eV/A, after constraints; with a cell relaxation also over the forces on the cell.
        atoms: the moving atoms themselves, with calculator; copy them to keep them.
    """

    name: str
    structure: int
    step: int
    energy: float
    fmax: float
    atoms: Atoms


StepCallback = Callable[[RelaxStep], None]


@dataclass(frozen=True)
class RelaxResult:
    """Outcome for one structure.

    Attributes:
        name: name of the structure.
        converged: whether ``fmax`` was reached.
        steps: optimizer steps taken in this call.
        energy: final potential energy, eV.
        fmax: final largest force, eV/A, as compared with the criterion.
        atoms: relaxed structure, with energy and forces stored and constraints kept.
        initial: structure as given, with the constraints used.
        energies, fmaxes: values after each step, the start included, length ``steps`` + 1.
        seconds: wall time.
        neighbor_rebuilds: neighbour-list rebuilds in this run.
        trajectory, relaxed, figure: files written, ``None`` without output.
    """

    name: str
    converged: bool
    steps: int
    energy: float
    fmax: float
    atoms: Atoms
    initial: Atoms
    energies: tuple[float, ...]
    fmaxes: tuple[float, ...]
    seconds: float
    neighbor_rebuilds: int
    trajectory: Path | None = None
    relaxed: Path | None = None
    figure: Path | None = None


class RelaxInterrupted(KeyboardInterrupt):
    """Ctrl-C during a relaxation: ``results`` holds the finished structures, ``name`` is the one that was not."""

    def __init__(self, results: Sequence[RelaxResult], name: str) -> None:
        super().__init__(f"interrupted while relaxing {name!r}; continue from its trajectory with restart (--restart)")
        self.results = list(results)
        self.name = name
