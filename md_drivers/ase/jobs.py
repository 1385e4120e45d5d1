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

from md_drivers.ase import resuming
from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.contacts import check_separate, close_contacts
from md_drivers.ase.outputs import periodic_projector
from md_drivers.ase.results import StepCallback
from md_drivers.ase.selection import select_atoms
from md_drivers.ase.settings import RelaxSettings
from md_drivers.ase.trajectory import end_frames
from md_drivers.common.checks import check_count, first_few
from md_drivers.common.errors import StructureError
from md_drivers.common.run_folder import check_steps
from mlff.graph import neighbor_list

ALIGNED = 1e-6  # part of a vector that rounding may turn

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


def check_unused(output: Path, named: Sequence[tuple[str, Atoms]]) -> None:
    """Raise FileExistsError where a folder has results of an earlier relaxation."""
    for path in (output / SUMMARY, *(output / name / _TRAJECTORY for name, _ in named)):
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
        if settings.cell is not None:
            _check_open(name, atoms, settings)
        if settings.fix is not None:
            # Selections refer to the structure as given, also when a resumed run begins elsewhere.
            atoms.set_constraint([*atoms.constraints, FixAtoms(indices=select_atoms(atoms, settings.fix))])
        job = Job(name, initial=atoms, start=atoms, folder=None if output is None else output / name)
        if request.resume:
            job = _resumed(job, calculator, settings, request.steps)
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


def _check_open(name: str, atoms: Atoms, settings: RelaxSettings) -> None:
    """Make sure that a cell relaxation changes the cell along its periodic directions alone, and say which are open."""
    if atoms.pbc.all():
        return
    inside, axes = periodic_projector(atoms), "".join("abc"[k] for k in np.flatnonzero(~atoms.pbc))
    open_vectors = atoms.cell.array[~atoms.pbc]
    if settings.pressure != 0.0 or settings.hydrostatic:
        raise StructureError(f"pressure and hydrostatic change the cell in all directions, and it is open along {axes}")
    if np.abs(open_vectors @ inside).max() > ALIGNED * np.abs(open_vectors).max():
        raise StructureError(
            f"the cell cannot be relaxed: it is open along {axes}, and these vectors are not perpendicular to the "
            "periodic ones; they mean nothing, make them so"
        )
    if settings.cell_mask is not None:
        components = [inside[k, k] * inside[m, m] for k, m in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))]
        if np.abs(inside - np.diag(np.diag(inside))).max() > ALIGNED:
            raise StructureError("cell_mask needs open directions along x, y or z: turn the structure")
        if not np.dot(np.asarray(settings.cell_mask, dtype=bool), components) > 0.5:
            raise StructureError(f"cell_mask leaves strains along open directions ({axes}) alone, which do not change")
    _log.warning("structure %r is open along %s: only the periodic directions of its cell are relaxed", name, axes)


def _resumed(job: Job, calculator: MLFFCalculator, settings: RelaxSettings, steps: int) -> Job:
    """The job where its trajectory left it; as it was where there is none."""
    ends = None if job.trajectory is None else end_frames(job.trajectory)
    if ends is None:
        return job
    first, last, frames, about = ends
    if (obstacle := resuming.difference(job.initial, first)) is not None:
        raise StructureError(
            f"the trajectory to resume from holds another structure ({obstacle}): use the output folder of the "
            "structure, or start anew without resume"
        )
    if (obstacle := resuming.changed(about, settings) or resuming.changed_constraints(first, job.initial)) is not None:
        raise StructureError(
            f"the trajectory to resume from was made with other settings ({obstacle}): give those of before, or start "
            "anew without resume"
        )
    made_by = getattr(last.calc, "parameters", {}).get("sha256")
    if made_by is not None and made_by != calculator.model.sha256:
        raise StructureError(
            f"the trajectory to resume from was made by another model (SHA-256 {made_by[:12]}…, now "
            f"{calculator.model.sha256[:12]}…): resume with that model, or start anew without resume"
        )
    check_steps(str(job.folder), "relaxation", frames - 1, steps)
    if resuming.unknown(about, settings, first, last):
        _log.warning(
            "structure %r: its trajectory notes no cell settings (earlier versions wrote none), so nothing tells "
            "whether the cell filter and the pressure are those of before",
            job.name,
        )
    try:
        initial_energy = float(first.get_potential_energy(apply_constraint=False))
    except (RuntimeError, PropertyNotImplementedError):  # frames of another program may have none
        initial_energy = None
    start = job.initial.copy()
    start.set_cell(last.cell, scale_atoms=False)
    start.set_positions(last.positions, apply_constraint=False)
    _log.info("structure %r goes on after step %d; the memory of the optimizer starts anew", job.name, frames - 1)
    return Job(job.name, job.initial, start, job.folder, frames - 1, initial_energy)
