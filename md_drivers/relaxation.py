"""Relaxation of structures and cells with an exported potential."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.filters import ExpCellFilter, FrechetCellFilter, UnitCellFilter
from ase.optimize import BFGS, FIRE, LBFGS
from ase.optimize.optimize import Optimizer

from md_drivers.ase_calculator import MLFFCalculator
from md_drivers.errors import StructureError
from md_drivers.report import write_extxyz, write_figure, write_summary
from md_drivers.results import RelaxInterrupted, RelaxResult, RelaxStep, StepCallback
from md_drivers.selection import FixSpec, select_atoms
from md_drivers.structures import Structures, collect_structures
from md_drivers.trajectory import append_frame, last_frame
from mlff.artifacts import LoadedModel

OPTIMIZERS: dict[str, type[Optimizer]] = {"FIRE": FIRE, "BFGS": BFGS, "LBFGS": LBFGS}
CELL_FILTERS: dict[str, Callable[..., UnitCellFilter]] = {
    "unit": UnitCellFilter,
    "exp": ExpCellFilter,
    "frechet": FrechetCellFilter,
}


_TRAJECTORY = "trajectory.traj"


@dataclass(frozen=True)
class _Options:
    fmax: float
    steps: int
    optimizer: str
    cell: str | None
    cell_mask: tuple[bool, ...] | None
    hydrostatic: bool
    pressure: float


@dataclass(frozen=True)
class _Job:
    """One structure: as given (with constraints), and where the run begins, which differs after a restart."""

    name: str
    initial: Atoms
    start: Atoms
    folder: Path | None
    append: bool

    @property
    def trajectory(self) -> Path | None:
        return None if self.folder is None else self.folder / _TRAJECTORY


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
            ``md_drivers.selection``), several of them, atom numbers, or a mask.
        output: folder for results: ``<name>/trajectory.traj``, ``relaxed.extxyz``, ``relax.png`` for each structure,
            and ``summary.json`` and ``summary.csv``. Nothing is written without it.
        restart: continue from the last frame of the trajectory in ``output`` where there is one, and append to it.
        figure: draw ``relax.png``.
        device, dtype, skin: as in ``MLFFCalculator``; not used when ``model`` is a calculator.
        callback: called with a ``RelaxStep`` at the start and after every step. Its exceptions end the run.
        progress: show a line per step and a progress bar on the terminal.

    Returns:
        A ``RelaxResult`` for each structure, in the order given.

    Raises:
        ValueError: an option has no meaning; the message names it.
        StructureError: a structure or selection cannot be used; the message names the structure.
        CalculationFailed: the model gave a non-finite number; the message names the structure.
        RelaxInterrupted: Ctrl-C (a KeyboardInterrupt); trajectories are intact, finished results are in ``results``.
    """
    options = _check_options(fmax, steps, optimizer, cell, cell_mask, hydrostatic, pressure)
    folder = None if output is None else Path(output)
    if restart and folder is None:
        raise ValueError("restart needs the output folder of the earlier run")
    named = collect_structures(structures)
    calculator = model if isinstance(model, MLFFCalculator) else MLFFCalculator(model, device, dtype, skin)
    jobs = [_prepare(name, atoms, calculator, options, fix, folder, restart) for name, atoms in named]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if not progress:
        return _run_all(jobs, calculator, options, folder, figure, callback)
    from md_drivers.progress import StepReporter

    with StepReporter(structures=len(jobs), steps=steps, fmax=fmax, callback=callback) as reporter:
        return _run_all(jobs, calculator, options, folder, figure, reporter)


def _run_all(
    jobs: list[_Job],
    calculator: MLFFCalculator,
    options: _Options,
    folder: Path | None,
    figure: bool,
    callback: StepCallback | None,
) -> list[RelaxResult]:
    results: list[RelaxResult] = []
    try:
        for index, job in enumerate(jobs):
            try:
                result = _run(job, index, calculator, options, callback)
            except CalculationFailed as error:
                raise CalculationFailed(f"structure {job.name!r}: {error}") from error
            results.append(_write(result, job, figure, options.fmax))
    except KeyboardInterrupt as error:
        raise RelaxInterrupted(results, jobs[len(results)].name) from error
    finally:
        if folder is not None and results:
            write_summary(folder, results, calculator)
    return results


def _run(
    job: _Job, index: int, calculator: MLFFCalculator, options: _Options, callback: StepCallback | None
) -> RelaxResult:
    atoms = job.start.copy()
    atoms.calc = calculator
    target = _filtered(atoms, options)
    energies: list[float] = []
    norms: list[float] = []
    begin = perf_counter()
    rebuilds = calculator.neighbor_statistics.rebuilds
    with OPTIMIZERS[options.optimizer](target, logfile=None) as engine:

        def record() -> None:
            # The filter's forces are what the optimizer compares with fmax; ASE computes stress and forces in one call.
            norms.append(float(np.linalg.norm(target.get_forces(), axis=1).max()))
            energies.append(float(target.get_potential_energy()))
            if job.trajectory is not None and not (job.append and engine.nsteps == 0):
                append_frame(job.trajectory, atoms, new=engine.nsteps == 0)
            if callback is not None:
                callback(RelaxStep(job.name, index, engine.nsteps, energies[-1], norms[-1], atoms))

        engine.attach(record)
        converged = bool(engine.run(fmax=options.fmax, steps=options.steps))
        taken = int(engine.nsteps)
    kept = dict(calculator.results)
    atoms.calc = None
    final = atoms.copy()
    final.calc = SinglePointCalculator(final, **kept)
    return RelaxResult(
        name=job.name,
        converged=converged,
        steps=taken,
        energy=float(final.get_potential_energy()),
        fmax=norms[-1],
        atoms=final,
        initial=job.initial,
        energies=tuple(energies),
        fmaxes=tuple(norms),
        seconds=perf_counter() - begin,
        neighbor_rebuilds=calculator.neighbor_statistics.rebuilds - rebuilds,
        trajectory=job.trajectory,
    )


def _write(result: RelaxResult, job: _Job, figure: bool, fmax: float) -> RelaxResult:
    if job.folder is None:
        return result
    relaxed = job.folder / "relaxed.extxyz"
    write_extxyz(relaxed, result)
    image = job.folder / "relax.png" if figure else None
    if image is not None:
        write_figure(image, result, fmax)
    return replace(result, relaxed=relaxed, figure=image)


def _prepare(
    name: str,
    atoms: Atoms,
    calculator: MLFFCalculator,
    options: _Options,
    fix: FixSpec | None,
    output: Path | None,
    restart: bool,
) -> _Job:
    try:
        calculator.check_atoms(atoms)
        if options.cell is not None and (obstacle := calculator.stress_obstacle(atoms)) is not None:
            raise StructureError(f"the cell cannot be relaxed: {obstacle}")
        if fix is not None:
            # Selections refer to the structure as given, also when a restart begins elsewhere.
            atoms.set_constraint([*atoms.constraints, FixAtoms(indices=select_atoms(atoms, fix))])
        folder = None if output is None else output / name
        last = last_frame(folder / _TRAJECTORY) if restart and folder is not None else None
        start = atoms if last is None else _continue_from(atoms, last)
        calculator.check_atoms(start)
    except StructureError as error:
        raise StructureError(f"structure {name!r}: {error}") from error
    return _Job(name, initial=atoms, start=start, folder=folder, append=last is not None)


def _continue_from(atoms: Atoms, last: Atoms) -> Atoms:
    if len(last) != len(atoms) or (last.numbers != atoms.numbers).any() or (last.pbc != atoms.pbc).any():
        raise StructureError("the trajectory to restart from holds another structure (other atoms or pbc)")
    start = atoms.copy()
    start.set_cell(last.cell, scale_atoms=False)
    start.set_positions(last.positions, apply_constraint=False)
    return start


def _filtered(atoms: Atoms, options: _Options) -> Any:  # ASE's annotations do not know that filters act as atoms
    if options.cell is None:
        return atoms
    return CELL_FILTERS[options.cell](
        atoms,
        mask=None if options.cell_mask is None else list(options.cell_mask),
        hydrostatic_strain=options.hydrostatic,
        scalar_pressure=options.pressure,
    )


def _check_options(
    fmax: float,
    steps: int,
    optimizer: str,
    cell: str | None,
    cell_mask: Sequence[bool] | None,
    hydrostatic: bool,
    pressure: float,
) -> _Options:
    if not (np.isfinite(fmax) and fmax > 0):
        raise ValueError(f"fmax must be a positive force in eV/A, got {fmax}")
    if steps < 0:
        raise ValueError(f"steps must be >= 0, got {steps}")
    if optimizer.upper() not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if cell is not None and cell not in CELL_FILTERS:
        raise ValueError(f"cell must be one of {', '.join(CELL_FILTERS)} or None, got {cell!r}")
    if not np.isfinite(pressure):
        raise ValueError(f"pressure must be a finite number in eV/A^3, got {pressure}")
    if cell is None and (cell_mask is not None or hydrostatic or pressure != 0.0):
        raise ValueError("cell_mask, hydrostatic and pressure need a cell relaxation: give cell='frechet'")
    mask = None if cell_mask is None else tuple(bool(entry) for entry in cell_mask)
    if mask is not None and len(mask) != 6:
        raise ValueError(f"cell_mask needs six entries, xx yy zz yz xz xy, got {len(mask)}")
    return _Options(float(fmax), int(steps), optimizer.upper(), cell, mask, hydrostatic, float(pressure))
