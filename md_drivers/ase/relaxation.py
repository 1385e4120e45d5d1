"""Relaxation of structures and cells with an exported potential."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.calculators.singlepoint import SinglePointCalculator

from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.contacts import close_contacts, contacts_text
from md_drivers.ase.jobs import CELL_FILTERS, OPTIMIZERS, Job, Options, check_options, prepare
from md_drivers.ase.report import write_figure, write_structure, write_summary
from md_drivers.ase.results import RelaxFailed, RelaxInterrupted, RelaxResult, RelaxStep, StepCallback
from md_drivers.ase.selection import FixSpec
from md_drivers.ase.structures import Structures, collect_structures
from md_drivers.ase.trajectory import append_frame
from md_drivers.common.errors import StructureError
from mlff.artifacts import LoadedModel

_log = logging.getLogger(__name__)


def relax(
    structures: Structures,
    model: str | Path | LoadedModel | MLFFCalculator,
    *,
    fmax: float = 0.05,
    steps: int = 500,
    optimizer: str = "FIRE",
    cell: str | None = None,
    cell_mask: Sequence[bool] | None = None,
    hydrostatic: bool = False,
    pressure: float = 0.0,
    fix: FixSpec | None = None,
    output: str | Path | None = None,
    restart: bool = False,
    figure: bool = True,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    skin: float = 0.5,
    callback: StepCallback | None = None,
    progress: bool = False,
) -> list[RelaxResult]:
    """Relax one or several structures, one after the other, until all forces are small.

    Constraints of the structures are kept. All input is checked before the first step. The given atoms are not changed.
    A structure that fails does not stop the others. Atoms closer than half the sum of their covalent radii are warned
    about at the start (log ``md_drivers``); a structure that ends with such a pair does not count as converged. A
    figure or relaxed structure that cannot be written is a warning too, the results and the trajectory are kept.

    Args:
        structures: atoms, file names with optional ASE selection (``slab.traj@0:3``), a list of these, or a mapping
            from names to atoms.
        model: name of a shipped checkpoint, exported file, loaded model, or a calculator.
        fmax: converged when no atom has a force above this, eV/A; with ``cell`` the same bound holds for the
            generalized forces on the cell (ASE's cell filters).
        steps: largest number of optimizer steps for each structure in this call.
        optimizer: ``"FIRE"``, ``"BFGS"`` or ``"LBFGS"``, of ASE.
        cell: relax the cell too, with ASE's ``"unit"``, ``"exp"`` or ``"frechet"`` filter (the latter is best).
        cell_mask: six bools, which strain components xx yy zz yz xz xy may change; default all.
        hydrostatic: change only the volume of the cell.
        pressure: external pressure in eV/A^3 for a cell relaxation.
        fix: atoms to hold besides those held already: a selection such as ``"layers:2"`` or ``"symbol:Cu & z<5"`` (see
            ``md_drivers.ase.selection``), several of them, atom numbers, or a mask.
        output: folder for results: ``<name>/trajectory.traj``, ``relaxed.extxyz``, ``relax.png`` for each structure,
            and ``summary.json`` and ``summary.csv``. A ``relaxed.traj`` is added for constraints that extxyz cannot
            hold. Nothing is written without an output folder.
        restart: continue from the last frame of the trajectory in ``output`` where there is one, and append to it. It
            must begin with the structure as given, and be made by the same model file.
        figure: draw ``relax.png``.
        device, dtype, skin: as in ``MLFFCalculator``; not used when ``model`` is a calculator.
        callback: called with a ``RelaxStep`` at the start and after every step. Its exceptions end the run.
        progress: show a line per step and a progress bar on the terminal.

    Returns:
        A ``RelaxResult`` for each structure, in the order given.

    Raises:
        ValueError: an option has no meaning; the message names it.
        StructureError: a structure or selection cannot be used; the message names the structure.
        RelaxFailed: after all structures, if the model gave a non-finite number or atoms fell onto each other in some
            of them (a CalculationFailed); the message names these, ``results`` has the others.
        RelaxInterrupted: Ctrl-C (a KeyboardInterrupt); trajectories are intact, finished results are in ``results``.
    """
    options = check_options(fmax, steps, optimizer, cell, cell_mask, hydrostatic, pressure)
    folder = None if output is None else Path(output)
    if restart and folder is None:
        raise ValueError("restart needs the output folder of the earlier run")
    named = collect_structures(structures)
    calculator = model if isinstance(model, MLFFCalculator) else MLFFCalculator(model, device, dtype, skin)
    jobs = [prepare(name, atoms, calculator, options, fix, folder, restart) for name, atoms in named]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if not progress:
        return _run_all(jobs, calculator, options, folder, figure, callback)
    from md_drivers.ase.progress import StepReporter

    with StepReporter(structures=len(jobs), steps=steps, fmax=fmax, callback=callback) as reporter:
        return _run_all(jobs, calculator, options, folder, figure, reporter)


def _run_all(
    jobs: list[Job],
    calculator: MLFFCalculator,
    options: Options,
    folder: Path | None,
    figure: bool,
    callback: StepCallback | None,
) -> list[RelaxResult]:
    results: list[RelaxResult] = []
    failures: dict[str, str] = {}
    name = jobs[0].name
    try:
        for index, job in enumerate(jobs):
            name = job.name
            try:
                result = _run(job, index, calculator, options, callback)
            except (CalculationFailed, StructureError) as error:
                failures[name] = str(error)
                if len(jobs) > 1:
                    _log.warning("structure %r failed: %s", name, error)
                continue
            results.append(result)  # first of all: an interrupt while files are written must not lose it
            results[-1] = _write(result, job, figure, options.fmax)
    except KeyboardInterrupt as error:
        raise RelaxInterrupted(results, name) from error
    finally:
        if folder is not None and (results or failures):
            write_summary(folder, results, calculator, failures)
    if failures:
        raise RelaxFailed(results, failures)
    return results


def _run(
    job: Job, index: int, calculator: MLFFCalculator, options: Options, callback: StepCallback | None
) -> RelaxResult:
    atoms = job.start.copy()
    atoms.calc = calculator
    target = _filtered(atoms, options)
    energies: list[float] = []
    enthalpies: list[float] = []
    norms: list[float] = []
    begin = perf_counter()
    rebuilds = calculator.neighbor_statistics.rebuilds
    with OPTIMIZERS[options.optimizer](target, logfile=None) as engine:

        def record() -> None:
            # The filter's forces are what the optimizer compares with fmax; its energy has the PV term in it.
            norms.append(float(np.linalg.norm(target.get_forces(), axis=1).max()))
            energies.append(float(atoms.get_potential_energy()))
            enthalpy = None
            if options.pressure != 0.0:
                enthalpy = energies[-1] + options.pressure * atoms.get_volume()
                enthalpies.append(enthalpy)
            if job.trajectory is not None and not (job.append and engine.nsteps == 0):
                append_frame(job.trajectory, atoms, new=engine.nsteps == 0)
            if callback is not None:
                callback(RelaxStep(job.name, index, engine.nsteps, energies[-1], norms[-1], atoms, enthalpy))

        engine.attach(record)
        reached = bool(engine.run(fmax=options.fmax, steps=options.steps))
        taken = int(engine.nsteps)
    kept = dict(calculator.results)
    atoms.calc = None
    final = atoms.copy()
    final.calc = SinglePointCalculator(final, **kept)
    contacts = close_contacts(final)
    if contacts:
        _log.warning(
            "structure %r ended with atoms too close for any bond, the result is not trustworthy: %s",
            job.name,
            contacts_text(contacts),
        )
    return RelaxResult(
        name=job.name,
        converged=reached and not contacts,
        steps=taken,
        energy=energies[-1],
        fmax=norms[-1],
        atoms=final,
        initial=job.initial,
        energies=tuple(energies),
        fmaxes=tuple(norms),
        seconds=perf_counter() - begin,
        neighbor_rebuilds=calculator.neighbor_statistics.rebuilds - rebuilds,
        close_contacts=contacts,
        enthalpies=tuple(enthalpies),
        trajectory=job.trajectory,
    )


def _write(result: RelaxResult, job: Job, figure: bool, fmax: float) -> RelaxResult:
    if job.folder is None:
        return result
    relaxed = _attempt(write_structure, job.folder / "relaxed.extxyz", result)
    image = _attempt(write_figure, job.folder / "relax.png", result, fmax) if figure else None
    return replace(result, relaxed=relaxed, figure=image)


def _attempt(write: Callable[..., None], path: Path, result: RelaxResult, *arguments: float) -> Path | None:
    """``path`` when it was written, else ``None``: the result is worth more than a file about it."""
    try:
        write(path, result, *arguments)
    except Exception as error:  # Matplotlib and ASE's writers raise whatever they met.
        _log.warning("structure %r: cannot write %s: %s: %s", result.name, path.name, type(error).__name__, error)
        return None
    return path


def _filtered(atoms: Atoms, options: Options) -> Any:  # ASE's annotations do not know that filters act as atoms
    if options.cell is None:
        return atoms
    return CELL_FILTERS[options.cell](
        atoms,
        mask=None if options.cell_mask is None else list(options.cell_mask),
        hydrostatic_strain=options.hydrostatic,
        scalar_pressure=options.pressure,
    )
