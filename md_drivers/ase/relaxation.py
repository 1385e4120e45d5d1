"""Relaxation of structures and cells with an exported potential."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.calculators.calculator import CalculationFailed

from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.course import Stopped, run_job
from md_drivers.ase.jobs import Job, prepare
from md_drivers.ase.report import write_figure, write_structure, write_summary
from md_drivers.ase.results import RelaxFailed, RelaxInterrupted, RelaxResult, StepCallback
from md_drivers.ase.selection import FixSpec
from md_drivers.ase.settings import RelaxSettings
from md_drivers.ase.structures import Structures, collect_structures
from md_drivers.common.checks import check_count, formerly
from md_drivers.common.errors import StructureError
from md_drivers.common.models import Model
from md_drivers.common.run_record import RunRecord
from mlff.support.errors import Interrupted

_log = logging.getLogger(__name__)


def relax(
    structures: Structures,
    model: Model | MLFFCalculator,
    output: str | os.PathLike[str] | None = None,
    *,
    steps: int = 500,
    settings: RelaxSettings | None = None,
    device: str | torch.device | None = None,
    resume: bool = False,
    figure: bool = True,
    progress: bool = False,
    on_progress: StepCallback | None = None,
    should_stop: Callable[[], bool] | None = None,
    fmax: float | None = None,
    optimizer: str | None = None,
    cell: str | None = None,
    cell_mask: Sequence[bool] | None = None,
    hydrostatic: bool | None = None,
    pressure: float | None = None,
    fix: FixSpec | None = None,
    dtype: str | torch.dtype | None = None,
    skin: float | None = None,
    restart: bool | None = None,
    callback: StepCallback | None = None,
) -> list[RelaxResult]:
    """Relax one or several structures, one after the other, until all forces are small.

    Constraints of the structures are kept. All input is checked before the first step. The given atoms are not changed.
    A structure that fails does not stop the others. Atoms closer than half the sum of their covalent radii are warned
    about at the start (log ``md_drivers``); a structure that ends with such a pair does not count as converged. A
    figure or relaxed structure that cannot be written is a warning too, the results and the trajectory are kept.

    Args:
        structures: atoms, file names with optional ASE selection (``slab.traj@0:3``), a list of these, or a mapping
            from names to atoms.
        model: name of a pretrained model, exported file, loaded model, or a calculator.
        output: folder for results: ``<name>/trajectory.traj``, ``relaxed.extxyz``, ``relax.png`` for each structure,
            and ``summary.json`` and ``summary.csv``. A ``relaxed.traj`` is added for constraints that extxyz cannot
            store. Nothing is written without an output folder; files of an earlier run are replaced.
        steps: largest number of optimizer steps for each structure since its start, those before a resumption included.
        settings: threshold, optimizer, fixed atoms and all else; the arguments from ``fmax`` to ``skin`` replace single
            ones of them. ``dtype`` and ``skin`` are not used when ``model`` is a calculator.
        device: of the model; ``None`` takes a GPU if there is one. Not used when ``model`` is a calculator.
        resume: go on from the last frame of the trajectory in ``output`` where there is one, and append to it. It must
            begin with the structure as given, and be made by the same model file. The optimizer's memory starts anew.
        figure: draw ``relax.png``.
        progress: show a line per step and a progress bar on the terminal.
        on_progress: called with a ``RelaxStep`` at the start and after every step. Its exceptions end the run.
        should_stop: asked between steps; when true, RelaxInterrupted is raised, and ``resume`` goes on.
        restart, callback: former names of ``resume`` and ``on_progress``.

    Returns:
        A ``RelaxResult`` for each structure, in the order given.

    Raises:
        ValueError: an option has no meaning; the message names it.
        StructureError: a structure or selection cannot be used; the message names the structure.
        RelaxFailed: after all structures, if the model gave a non-finite number or atoms fell onto each other in some
            of them (a CalculationFailed); the message names these, ``results`` has the others.
        RelaxInterrupted: Ctrl-C (a KeyboardInterrupt); trajectories are intact, finished results are in ``results``.
    """
    resume = formerly("restart", restart, "resume", resume, ", and steps counts from the very start")
    on_progress = formerly("callback", callback, "on_progress", on_progress)
    given: dict[str, Any] = {
        "fmax": fmax,
        "optimizer": optimizer,
        "cell": cell,
        "cell_mask": cell_mask,
        "hydrostatic": hydrostatic,
        "pressure": pressure,
        "fix": fix,
        "dtype": dtype,
        "skin": skin,
    }
    settings = replace(settings or RelaxSettings(), **{name: x for name, x in given.items() if x is not None})
    steps = int(steps) if isinstance(steps, np.integer) else steps
    check_count("steps", steps, least=0)
    folder = None if output is None else Path(output)
    if resume and folder is None:
        raise ValueError("resume needs the output folder of the earlier run")
    named = collect_structures(structures)
    if isinstance(model, MLFFCalculator):
        calculator = model
    else:
        calculator = MLFFCalculator(model, device, settings.dtype, settings.skin)
    jobs = [prepare(name, atoms, calculator, settings, folder, steps, resume) for name, atoms in named]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    run = _Run(calculator, settings, steps, folder, figure, on_progress, should_stop or (lambda: False))
    if not progress:
        return run.all(jobs)
    from md_drivers.ase.progress import StepReporter

    with StepReporter(structures=len(jobs), steps=steps, fmax=settings.fmax, callback=on_progress) as reporter:
        return replace(run, on_progress=reporter).all(jobs)


@dataclass(frozen=True)
class _Run:
    """What all structures of a call have in common."""

    calculator: MLFFCalculator
    settings: RelaxSettings
    steps: int
    folder: Path | None
    figure: bool
    on_progress: StepCallback | None
    should_stop: Callable[[], bool]

    def all(self, jobs: list[Job]) -> list[RelaxResult]:
        """Relax the structures, and write what came of them, whatever ends the run."""
        results: list[RelaxResult] = []
        failures: dict[str, str] = {}
        status, name = "failed", jobs[0].name
        try:
            for index, job in enumerate(jobs):
                name = job.name
                try:
                    result = self._one(job, index)
                except (CalculationFailed, StructureError) as error:
                    failures[name] = str(error)
                    if len(jobs) > 1:
                        _log.warning("structure %r failed: %s", name, error)
                    continue
                results.append(result)  # first of all: an interrupt while files are written must not lose it
                results[-1] = self._write(result, job)
            if not failures:
                status = "completed" if all(result.converged for result in results) else "not converged"
        except (KeyboardInterrupt, Stopped) as error:
            status = "stopped"
            raise RelaxInterrupted(results, name, *_signum(error)) from error
        finally:
            if self.folder is not None and (results or failures):
                asked = {**self.settings.as_dict(), "steps": self.steps}
                record = RunRecord(self.folder / "summary.json", "relaxation", asked, self.calculator.model)
                write_summary(self.folder, record, status, results, failures)
        if failures:
            raise RelaxFailed(results, failures)
        return results

    def _one(self, job: Job, index: int) -> RelaxResult:
        on_progress = self.on_progress or (lambda step: None)
        return run_job(job, index, self.calculator, self.settings, self.steps, on_progress, self.should_stop)

    def _write(self, result: RelaxResult, job: Job) -> RelaxResult:
        if job.folder is None:
            return result
        relaxed = _attempt(write_structure, job.folder / "relaxed.extxyz", result)
        image = None
        if self.figure:
            image = _attempt(write_figure, job.folder / "relax.png", result, self.settings.fmax)
        return replace(result, relaxed=relaxed, figure=image)


def _signum(error: BaseException) -> tuple[int, ...]:
    return (error.signum,) if isinstance(error, Interrupted) else ()


def _attempt(write: Callable[..., None], path: Path, result: RelaxResult, *arguments: float) -> Path | None:
    """``path`` when it was written, else ``None``: the result is worth more than a file about it."""
    try:
        write(path, result, *arguments)
    except Exception as error:  # Matplotlib and ASE's writers raise whatever they met.
        _log.warning("structure %r: cannot write %s: %s: %s", result.name, path.name, type(error).__name__, error)
        return None
    return path
