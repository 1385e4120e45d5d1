"""Structures to relax, checked before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.constraints import FixAtoms

from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.contacts import check_separate, close_contacts
from md_drivers.ase.results import StepCallback
from md_drivers.ase.selection import select_atoms
from md_drivers.ase.settings import RelaxSettings
from md_drivers.ase.trajectory import end_frames
from md_drivers.common.checks import check_count, first_few
from md_drivers.common.errors import StructureError
from md_drivers.common.run_folder import check_steps
from mlff.graph import neighbor_list

SAME_STRUCTURE = 1e-3  # A, rounding of structure files

SUMMARY = "summary.json"
_TRAJECTORY = "trajectory.traj"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What all structures of a call have in common; as of :func:`md_drivers.relax`."""

    settings: RelaxSettings
    steps: int
    output: Path | None
    resume: bool
    figure: bool
    progress: bool
    on_progress: StepCallback
    should_stop: Callable[[], bool]

    def __post_init__(self) -> None:
        check_count("steps", self.steps, least=0)
        if self.resume and self.output is None:
            raise ValueError("resume needs the output folder of the earlier run")


@dataclass(frozen=True)
class Job:
    """One structure.

    Attributes:
        name: of the structure and of its folder.
        initial: as given, with constraints.
        start: where the run begins, which differs in a resumed one.
        folder: for its files, ``None`` without.
        first_step: steps before.
        initial_energy: of the very first frame of a resumed run, eV.
    """

    name: str
    initial: Atoms
    start: Atoms
    folder: Path | None
    first_step: int | None = None
    initial_energy: float | None = None

    @property
    def trajectory(self) -> Path | None:
        return None if self.folder is None else self.folder / _TRAJECTORY


def check_unused(output: Path, names: Sequence[str]) -> None:
    """Raise FileExistsError where a folder has results of an earlier relaxation."""
    for path in (output / SUMMARY, *(output / name / _TRAJECTORY for name in names)):
        if path.exists():
            raise FileExistsError(
                f"{path} exists already: go on with it (--resume, resume=True), replace it (--overwrite, "
                "overwrite=True), or name another folder"
            )


def prepare(name: str, atoms: Atoms, calculator: MLFFCalculator, request: Request) -> Job:
    """The job for a structure, which gets the constraints of ``fix``; StructureError, naming it, if it is unusable."""
    settings, output = request.settings, request.output
    try:
        calculator.check_atoms(atoms)
        if settings.cell is not None and (obstacle := calculator.stress_obstacle(atoms)) is not None:
            raise StructureError(f"the cell cannot be relaxed: {obstacle}")
        if settings.fix is not None:
            # Selections refer to the structure as given, also when a resumed run begins elsewhere.
            atoms.set_constraint([*atoms.constraints, FixAtoms(indices=select_atoms(atoms, settings.fix))])
        job = Job(name, initial=atoms, start=atoms, folder=None if output is None else output / name)
        if request.resume:
            job = _resumed(job, calculator, request.steps)
        start = job.start
        calculator.check_atoms(start)
        reach = calculator.model.metadata.cutoff
        check_separate(start, *neighbor_list(start.positions, start.cell.array, start.pbc, reach))
        if calculator.domain.strict:
            calculator.look_at(start)
    except ValueError as error:  # StructureError, or what the neighbour list says of a cell
        raise StructureError(f"structure {name!r}: {error}") from error
    if contacts := close_contacts(start):
        _log.warning(
            "structure %r starts with atoms too close for any bond, the model knows nothing about these: %s",
            name,
            first_few(contacts, 3),
        )
    return job


def _resumed(job: Job, calculator: MLFFCalculator, steps: int) -> Job:
    """The job where its trajectory left it; as it was where there is none."""
    ends = None if job.trajectory is None else end_frames(job.trajectory)
    if ends is None:
        return job
    first, last, frames = ends
    if (obstacle := _difference(job.initial, first)) is not None:
        raise StructureError(
            f"the trajectory to resume from holds another structure ({obstacle}): use the output folder of the "
            "structure, or start anew without resume"
        )
    made_by = getattr(last.calc, "parameters", {}).get("sha256")
    if made_by is not None and made_by != calculator.model.sha256:
        raise StructureError(
            f"the trajectory to resume from was made by another model (SHA-256 {made_by[:12]}…, now "
            f"{calculator.model.sha256[:12]}…): resume with that model, or start anew without resume"
        )
    check_steps(str(job.folder), "relaxation", frames - 1, steps)
    try:
        initial_energy = float(first.get_potential_energy())
    except (RuntimeError, PropertyNotImplementedError):  # frames of another program may have none
        initial_energy = None
    start = job.initial.copy()
    start.set_cell(last.cell, scale_atoms=False)
    start.set_positions(last.positions, apply_constraint=False)
    _log.info("structure %r goes on after step %d; the memory of the optimizer starts anew", job.name, frames - 1)
    return Job(job.name, job.initial, start, job.folder, frames - 1, initial_energy)


def _difference(atoms: Atoms, first: Atoms) -> str | None:
    """How the structure as given differs from the first frame of a trajectory, ``None`` if it does not."""
    if len(first) != len(atoms) or (first.numbers != atoms.numbers).any():
        return f"{first.get_chemical_formula()}, or another order of the atoms"
    if (first.pbc != atoms.pbc).any():
        return "other pbc"
    if np.abs(first.cell.array - atoms.cell.array).max() > SAME_STRUCTURE:
        return "its first frame has another cell"
    distances = np.abs(first.positions - atoms.positions).max(axis=1)
    if distances.max() > SAME_STRUCTURE:
        return f"its first frame has other positions, by {distances.max():.3g} A for atom {int(distances.argmax())}"
    return None
