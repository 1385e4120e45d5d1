"""The relaxation of one structure, from its first step to its last."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import ExpCellFilter, FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS, FIRE, LBFGS
from ase.optimize.optimize import Optimizer

from md_drivers.ase import resuming
from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.contacts import close_contacts
from md_drivers.ase.jobs import Job, Request
from md_drivers.ase.results import RelaxResult, RelaxStep
from md_drivers.ase.settings import RelaxSettings
from md_drivers.ase.trajectory import append_frame
from md_drivers.common.checks import first_few
from md_drivers.common.uncertainty import FORCES, UncertaintyWatch

OPTIMIZERS: dict[str, type[Optimizer]] = {"FIRE": FIRE, "BFGS": BFGS, "LBFGS": LBFGS}
CELL_FILTERS: dict[str, Callable[..., UnitCellFilter]] = {
    "unit": UnitCellFilter,
    "exp": ExpCellFilter,
    "frechet": FrechetCellFilter,
}

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """Asked to stop between two steps; the trajectory is complete."""


def run_job(job: Job, index: int, calculator: MLFFCalculator, request: Request) -> RelaxResult:
    """Relax a structure; ``index`` is its place in the call.

    Raises:
        Stopped: ``should_stop`` said so before the last step.
        CalculationError, StructureError: of the calculator.
    """
    settings, steps = request.settings, request.steps
    atoms = job.start.copy()
    atoms.calc = calculator
    target = _filtered(atoms, settings)
    course: list[RelaxStep] = []
    calculator.domain.forget()
    calculator.reset()  # a result that it kept would say nothing of the domain
    watch = UncertaintyWatch(calculator.model, settings.stop_above)
    begin, rebuilds = perf_counter(), calculator.neighbor_statistics.rebuilds
    first, reached = job.first_step or 0, False
    with OPTIMIZERS[settings.optimizer.upper()](target, logfile=None) as engine:
        for reached in engine.irun(fmax=settings.fmax, steps=steps - first):
            # The filter's forces are what the optimizer compares with fmax; its energy has the PV term in it.
            fmax = float(np.linalg.norm(target.get_forces(), axis=1).max())
            energy = float(atoms.get_potential_energy(apply_constraint=False))
            held = float(atoms.get_potential_energy()) - energy
            enthalpy = energy + settings.pressure * atoms.get_volume() if settings.pressure != 0.0 else None
            if job.trajectory is not None and (job.first_step is None or engine.nsteps > 0):
                append_frame(job.trajectory, atoms, new=engine.nsteps == 0, about=resuming.about(settings))
            step = first + engine.nsteps
            sigma = calculator.results.get("energy_uncertainty")
            of_forces = _of_forces(watch, calculator, atoms, f"{job.name}, step {step}") if settings.watched else None
            course.append(RelaxStep(job.name, index, step, energy, fmax, atoms, enthalpy, held, sigma, of_forces))
            request.on_progress(course[-1])
            if not reached and course[-1].step < steps and request.should_stop():
                raise Stopped
    if course[-1].forces_uncertainty is None and watch.known:
        course[-1] = _with_uncertainty(course[-1], watch, calculator, atoms)
    contacts, final = _final(job.name, atoms, calculator)
    return RelaxResult(
        name=job.name,
        converged=bool(reached) and not contacts,
        steps=course[-1].step,
        energy=course[-1].energy,
        fmax=course[-1].fmax,
        atoms=final,
        initial=job.initial,
        energies=tuple(step.energy for step in course),
        fmaxes=tuple(step.fmax for step in course),
        seconds=perf_counter() - begin,
        neighbor_rebuilds=calculator.neighbor_statistics.rebuilds - rebuilds,
        close_contacts=contacts,
        enthalpies=tuple(step.enthalpy for step in course if step.enthalpy is not None),
        trajectory=job.trajectory,
        first_step=first,
        initial_energy=job.initial_energy,
        constraint_energy=course[-1].constraint_energy,
        outside=dict(calculator.domain.notes),
        uncertainties=tuple(step.uncertainty for step in course if step.uncertainty is not None),
        forces_uncertainties=tuple(x for x in (step.forces_uncertainty for step in course) if x is not None),
    )


def _with_uncertainty(last: RelaxStep, watch: UncertaintyWatch, calculator: MLFFCalculator, atoms: Atoms) -> RelaxStep:
    """The last step with the uncertainty of its forces, for which nobody asked: the relaxation is not lost for it."""
    try:
        of_forces = _of_forces(watch, calculator, atoms, f"{last.name}, step {last.step}")
    except CalculationFailed as error:
        _log.warning("structure %r: no uncertainty of the forces: %s", last.name, error)
        return last
    return replace(last, forces_uncertainty=of_forces)


def _of_forces(watch: UncertaintyWatch, calculator: MLFFCalculator, atoms: Atoms, where: str) -> float:
    """Root mean square of the uncertainty of the forces, eV/A; CalculationError above the limit of the settings."""
    return watch.look(calculator.get_property(FORCES, atoms), where)


def _final(name: str, atoms: Atoms, calculator: MLFFCalculator) -> tuple[tuple[str, ...], Atoms]:
    """Close contacts, and the atoms with the stored results in place of the calculator."""
    kept = {name: value for name, value in calculator.results.items() if name in all_properties}
    atoms.calc = None
    final = atoms.copy()
    final.calc = SinglePointCalculator(final, **kept)
    contacts = close_contacts(final)
    if contacts:
        _log.warning(
            "structure %r ended with atoms too close for any bond, the result is not trustworthy: %s",
            name,
            first_few(contacts, 3),
        )
    return contacts, final


def _filtered(atoms: Atoms, settings: RelaxSettings) -> Any:  # ASE's annotations do not know that filters act as atoms
    if settings.cell is None:
        return atoms
    return CELL_FILTERS[settings.cell](
        atoms,
        mask=None if settings.cell_mask is None else [bool(entry) for entry in settings.cell_mask],
        hydrostatic_strain=settings.hydrostatic,
        scalar_pressure=settings.pressure,
    )
