"""Relaxation of structures and cells with an exported potential."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed

from md_drivers.ase.calculator import MLFFCalculator
from md_drivers.ase.course import Stopped, run_job
from md_drivers.ase.jobs import SUMMARY, Job, Request, check_unused, prepare
from md_drivers.ase.report import write_figure, write_structure, write_summary
from md_drivers.ase.results import RelaxFailed, RelaxInterrupted, RelaxResult, StepCallback
from md_drivers.ase.selection import FixSpec
from md_drivers.ase.settings import RelaxSettings
from md_drivers.ase.structures import Structures, collect_structures
from md_drivers.common.checks import formerly, never
from md_drivers.common.checks import ignore as no_report
from md_drivers.common.errors import StructureError
from md_drivers.common.models import Model, check_energy, model_name
from md_drivers.common.run_folder import RunFolder
from md_drivers.common.together import Together
from md_drivers.common.uncertainty import FORCES
from mlff.artifacts.loaded import Engine
from mlff.support.folders import at_work

_OF_CALCULATORS = ("dtype", "skin", "strict", "ignore")
_log = logging.getLogger(__name__)


def relax(
    structures: Structures,
    model: Model | MLFFCalculator,
    output: str | os.PathLike[str] | None = None,
    *,
    steps: int = 500,
    settings: RelaxSettings | None = None,
    device: str | torch.device | None = None,
    engine: Engine | None = None,
    resume: bool = False,
    overwrite: bool = False,
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
    strict: bool | None = None,
    ignore: Sequence[str] | None = None,
    batch: int | None = None,
    restart: bool | None = None,
    callback: StepCallback | None = None,
) -> list[RelaxResult]:
    """Relax one or several structures, one after the other or side by side, until all forces are small.

    The given atoms are not changed, all input is checked first. A structure that fails does not stop the others, a file
    that cannot be written is a warning. Atoms closer than half the sum of their covalent radii are not converged.

    Args:
        structures: atoms, file names with optional ASE selection (``slab.traj@0:3``), a list or a mapping from names.
        model: name of a pretrained model, exported file, loaded model, or a calculator, with its own device and dtype.
        output: folder for ``<name>/trajectory.traj``, ``relaxed.extxyz``, ``relax.png``, and summaries of all.
        steps: largest number of optimizer steps for each structure, those before a resumption included.
        settings: threshold, optimizer and all else; arguments from ``fmax`` to ``batch`` replace single ones of them.
        device: of the model; ``None`` takes a GPU if there is one.
        engine: what computes, see :func:`mlff.load`.
        resume, overwrite: go on from trajectories in ``output`` of the same structures and model; replace them.
        figure, progress: draw ``relax.png``; show a line per step and a progress bar on the terminal.
        on_progress (was ``callback``): called with a ``RelaxStep`` at the start and after every step.
        should_stop: asked between steps; when true, RelaxInterrupted is raised; ``resume`` (was ``restart``) goes on.

    Raises:
        FileExistsError: ``output`` has results of an earlier run, and neither ``resume`` nor ``overwrite`` is on.
        ValueError: an option without meaning; as StructureError a structure or selection.
        RelaxFailed, RelaxInterrupted: some failed, after all; Ctrl-C. ``results`` has the finished ones.
    """
    resume = formerly("restart", restart, "resume", resume, ", and steps counts from the very start")
    on_progress = formerly("callback", callback, "on_progress", on_progress)
    values = (fmax, optimizer, cell, cell_mask, hydrostatic, pressure, fix, dtype, skin, strict, ignore, batch)
    settings = (settings or RelaxSettings()).changed(values)
    steps, folder = int(steps) if isinstance(steps, np.integer) else steps, None if output is None else Path(output)
    request = Request(settings, steps, folder, resume, figure, progress, on_progress or no_report, should_stop or never)
    named = collect_structures(structures)
    if new := folder is not None and not (resume or overwrite):
        check_unused(folder, named)
    return _relax(named, _calculator(model, device, engine, settings), request, new)


def _calculator(
    model: Model | MLFFCalculator,
    device: str | torch.device | None,
    engine: Engine | None,
    settings: RelaxSettings,
) -> MLFFCalculator:
    if not isinstance(model, MLFFCalculator):
        own: dict[str, Any] = {name: getattr(settings, name) for name in _OF_CALCULATORS}
        model = MLFFCalculator(model, device, engine=engine, uncertainty=settings.watched, **own)
    elif differing := [name for name in _OF_CALCULATORS if getattr(settings, name) != getattr(RelaxSettings(), name)]:
        raise ValueError(f"a calculator has its own {', '.join(differing)}: make it with these, or give the model")
    if settings.watched and FORCES not in model.model.sigmas:
        raise ValueError(f"model {model_name(model.model)!r} computes no uncertainty of its forces")
    check_energy(model.model, "a relaxation")
    return model


def _relax(
    named: list[tuple[str, Atoms]], calculator: MLFFCalculator, request: Request, new: bool
) -> list[RelaxResult]:
    with nullcontext() if request.output is None else at_work(request.output), calculator.domain.one_run():
        if request.output is not None and new:
            check_unused(request.output, named)  # another run may have ended here meanwhile
        jobs = [prepare(name, atoms, calculator, request) for name, atoms in named]
        if not request.progress:
            return _all(jobs, calculator, request)
        from md_drivers.ase.progress import StepReporter

        with StepReporter(
            structures=len(jobs), steps=request.steps, fmax=request.settings.fmax, callback=request.on_progress
        ) as reporter:
            return _all(jobs, calculator, replace(request, on_progress=reporter))


def _all(jobs: list[Job], calculator: MLFFCalculator, request: Request) -> list[RelaxResult]:
    """Relax the structures, and write what came of them, whatever ends the run."""
    found: dict[int, RelaxResult] = {}
    failures: dict[str, str] = {}
    together = Together(calculator.model, request.settings.batch)

    def relax_one(index: int) -> None:
        job, own = jobs[index], calculator.joining(together) if request.settings.batch > 1 else calculator
        try:
            result = run_job(job, index, own, request)
        except (CalculationFailed, StructureError) as error:
            failures[job.name] = str(error)
            if len(jobs) > 1:
                _log.warning("structure %r failed: %s", job.name, error)
            return
        found[index] = result  # first of all: an interrupt while files are written must not lose it
        found[index] = _written(result, job, request)

    def in_order() -> list[RelaxResult]:
        return [found[index] for index in sorted(found)]

    status = "failed"
    try:
        if request.settings.batch > 1:
            together.run(partial(relax_one, index) for index in range(len(jobs)))
        else:
            for index in range(len(jobs)):
                relax_one(index)
        if not failures:
            status = "completed" if all(result.converged for result in found.values()) else "not converged"
    except (KeyboardInterrupt, Stopped) as error:
        status = "stopped"
        open_jobs = [job.name for index, job in enumerate(jobs) if index not in found and job.name not in failures]
        left = open_jobs[0] if open_jobs else jobs[-1].name  # all are done, and files were being written
        raise RelaxInterrupted(in_order(), left, getattr(error, "signum", signal.SIGINT)) from error
    finally:
        if request.output is not None and (found or failures):
            asked = {**request.settings.as_dict(), "steps": request.steps}
            folder = RunFolder(request.output, SUMMARY, "relaxation", asked, calculator.model)
            write_summary(folder, status, in_order(), failures)
    if failures:
        raise RelaxFailed(in_order(), failures)
    return in_order()


def _written(result: RelaxResult, job: Job, request: Request) -> RelaxResult:
    if job.folder is None:
        return result
    relaxed = _attempt(write_structure, job.folder / "relaxed.extxyz", result)
    figure = None
    if request.figure:
        figure = _attempt(write_figure, job.folder / "relax.png", result, request.settings.fmax)
    return replace(result, relaxed=relaxed, figure=figure)


def _attempt(write: Callable[..., None], path: Path, result: RelaxResult, *arguments: float) -> Path | None:
    """``path`` when it was written, else ``None``: the result is worth more than a file about it."""
    try:
        write(path, result, *arguments)
    except Exception as error:  # Matplotlib and ASE's writers raise whatever they met.
        _log.warning("structure %r: cannot write %s: %s: %s", result.name, path.name, type(error).__name__, error)
        return None
    return path
