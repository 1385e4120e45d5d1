"""What a relaxation reports, per step and in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import CalculationFailed


@dataclass(frozen=True)
class RelaxStep:
    """State after an optimizer step (``step`` 0 is the start).

    Attributes:
        name: name of the structure.
        structure: its place in the call, from 0.
        step: optimizer steps taken in this call.
        energy: potential energy, eV.
        fmax: largest force, eV/A, after constraints; with a cell relaxation also over the forces on the cell.
        atoms: the moving atoms themselves, with calculator; copy them to keep them.
        enthalpy: energy + pressure * volume in eV, ``None`` without external pressure.
    """

    name: str
    structure: int
    step: int
    energy: float
    fmax: float
    atoms: Atoms
    enthalpy: float | None = None


StepCallback = Callable[[RelaxStep], None]


@dataclass(frozen=True)
class RelaxResult:
    """Outcome for one structure.

    Attributes:
        name: name of the structure.
        converged: whether ``fmax`` was reached by a structure that can be trusted, that is, without ``close_contacts``.
        steps: optimizer steps taken in this call.
        energy: final potential energy, eV; as ``atoms.get_potential_energy()`` with that of constraints such as
            ``Hookean``.
        fmax: final largest force, eV/A, as compared with the criterion.
        atoms: relaxed structure, with energy and forces stored and constraints kept.
        initial: structure as given, with the constraints used.
        energies, fmaxes: potential energy and largest force after each step, the start included, ``steps`` + 1 values.
        seconds: wall time.
        neighbor_rebuilds: neighbour-list rebuilds in this run.
        close_contacts: pairs of the relaxed structure that are closer than half the sum of their covalent radii, such
            as ``"C0-O1 0.420 A"``. A structure with any is not trustworthy, whatever its forces.
        enthalpies: energy + pressure * volume (eV) after each step, empty without external pressure.
        trajectory, relaxed, figure: files written, ``None`` where there is none.
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
    close_contacts: tuple[str, ...] = ()
    enthalpies: tuple[float, ...] = ()
    trajectory: Path | None = None
    relaxed: Path | None = None
    figure: Path | None = None

    @property
    def enthalpy(self) -> float | None:
        """Final energy + pressure * volume in eV, ``None`` without external pressure."""
        return self.enthalpies[-1] if self.enthalpies else None


class RelaxInterrupted(KeyboardInterrupt):
    """Ctrl-C during a relaxation: ``results`` holds the finished structures, ``name`` is the one that was not."""

    def __init__(self, results: Sequence[RelaxResult], name: str) -> None:
        super().__init__(f"interrupted while relaxing {name!r}; continue from its trajectory with restart (--restart)")
        self.results = list(results)
        self.name = name


class RelaxFailed(CalculationFailed):
    """Some structures failed: ``failures`` has their messages by name, ``results`` the structures that finished."""

    def __init__(self, results: Sequence[RelaxResult], failures: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"structure {name!r}: {message}" for name, message in failures.items()))
        self.results = list(results)
        self.failures = dict(failures)
