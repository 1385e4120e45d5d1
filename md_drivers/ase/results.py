"""What a relaxation reports, per step and in the end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms

from md_drivers.common.errors import CalculationError
from mlff.support.errors import Interrupted


@dataclass(frozen=True)
class RelaxStep:
    """State after an optimizer step (``step`` 0 is the start).

    Attributes:
        name: name of the structure.
        structure: its place in the call, from 0.
        step: optimizer steps since the start, those before a resumption included.
        energy: potential energy of the model, eV.
        fmax: largest force, eV/A, after constraints; with a cell relaxation also over the forces on the cell.
        atoms: the moving atoms themselves, with calculator; copy them to keep them.
        enthalpy: energy + pressure * volume in eV, ``None`` without external pressure.
        constraint_energy: of constraints such as ``Hookean``, eV, which the optimizer minimizes as well.
        uncertainty: standard deviation of ``energy``, eV; ``None`` of models that compute none.
        forces_uncertainty: root mean square of those of the force components, eV/A; ``None`` unless asked for.
    """

    name: str
    structure: int
    step: int
    energy: float
    fmax: float
    atoms: Atoms
    enthalpy: float | None = None
    constraint_energy: float = 0.0
    uncertainty: float | None = None
    forces_uncertainty: float | None = None


StepCallback = Callable[[RelaxStep], None]


@dataclass(frozen=True)
class RelaxResult:
    """Outcome for one structure.

    Attributes:
        name: name of the structure.
        converged: whether ``fmax`` was reached by a structure that can be trusted, that is, without ``close_contacts``.
        steps: optimizer steps since the start, those before a resumption included.
        energy: final potential energy of the model, eV.
        fmax: final largest force, eV/A, as compared with the threshold.
        atoms: relaxed structure, with energy and forces stored and constraints kept.
        initial: structure as given, with the constraints used.
        energies, fmaxes: potential energy and largest force after each step of this call, where it began included,
            ``steps - first_step + 1`` values.
        seconds: wall time from the first step to the last; in a batch it includes the others'.
        neighbor_rebuilds: neighbour-list rebuilds in this run.
        close_contacts: pairs of the relaxed structure that are closer than half the sum of their covalent radii, such
            as ``"C0-O1 0.420 A"``. A structure with any is not trustworthy, whatever its forces.
        enthalpies: energy + pressure * volume (eV) with each of ``energies``, empty without external pressure.
        trajectory, relaxed, figure: files written, ``None`` where there is none.
        first_step: steps before this call, 0 unless it resumed.
        initial_energy: of the very first frame, eV; ``None``: that of ``energies``.
        constraint_energy: final energy of constraints such as ``Hookean``, eV, which is in no other energy here;
            ``atoms.get_potential_energy()`` adds it.
        outside: what lay outside of the training data of the model in this call, by kind.
        uncertainties: standard deviation, eV, of each of ``energies``; empty where the model computes none.
        forces_uncertainties: root mean square of those of the force components, eV/A, at every step or at the end.
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
    first_step: int = 0
    initial_energy: float | None = None
    constraint_energy: float = 0.0
    outside: Mapping[str, str] = field(default_factory=dict)
    uncertainties: tuple[float, ...] = ()
    forces_uncertainties: tuple[float, ...] = ()

    @property
    def enthalpy(self) -> float | None:
        """Final energy + pressure * volume in eV, ``None`` without external pressure."""
        return self.enthalpies[-1] if self.enthalpies else None

    @property
    def energy_change(self) -> float:
        """Potential energy since the very first frame, eV."""
        return self.energies[-1] - (self.energies[0] if self.initial_energy is None else self.initial_energy)


class RelaxInterrupted(Interrupted):
    """A relaxation was stopped: ``results`` holds the finished structures, ``name`` is the one that was not."""

    def __init__(self, results: Sequence[RelaxResult], name: str, signum: int = signal.SIGINT) -> None:
        super().__init__(signum, f"stopped while relaxing {name!r}, its trajectory is complete (resume=True, --resume)")
        self.results = list(results)
        self.name = name


class RelaxFailed(CalculationError):
    """Some structures failed: ``failures`` has their messages by name, ``results`` the structures that finished."""

    def __init__(self, results: Sequence[RelaxResult], failures: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"structure {name!r}: {message}" for name, message in failures.items()))
        self.results = list(results)
        self.failures = dict(failures)
