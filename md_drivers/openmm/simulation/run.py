"""The course of a simulation, from its files to its last step."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openmm

from md_drivers.common.checks import check_count, check_limit
from md_drivers.common.domain import forces_of_run
from md_drivers.common.engine import NM, openmm_seeds
from md_drivers.common.errors import StructureError
from md_drivers.common.uncertainty import UncertaintyWatch
from md_drivers.openmm.computation import INTERRUPTED
from md_drivers.openmm.simulation.checkpoint import Checkpoint
from md_drivers.openmm.simulation.folder import Folder
from md_drivers.openmm.simulation.observables import Observer
from md_drivers.openmm.simulation.results import Progress, SimulationFailed, SimulationResult
from md_drivers.openmm.simulation.settings import SimulationSettings
from md_drivers.openmm.simulation.structure import Bonds, Structure, read_structure
from md_drivers.openmm.simulation.system import Assembly, assemble, find_platform, make_integrator, masses_of
from md_drivers.openmm.simulation.trajectory import Recorder, cut_back
from mlff.potential.artifact import LoadedModel

_MOST_ITERATIONS = 500  # of the minimiser
_PATIENCE = 0.5  # seconds between two questions whether to stop
_MOST_WARNINGS = 3  # of broken bonds; the record has them all
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to do and how it is watched: see :func:`md_drivers.simulate`."""

    settings: SimulationSettings
    steps: int
    resume: bool
    platform: str | None
    checkpoint_interval: int
    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]
    stop_above: float | None = None

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("checkpoint_interval", self.checkpoint_interval)
        check_limit(self.stop_above)


def run(structure_file: Path, model: LoadedModel, output: Path, request: Request) -> SimulationResult:
    """Run or resume a simulation; errors as of :func:`md_drivers.simulate`."""
    structure = read_structure(structure_file, request.settings.periodic)
    folder = Folder(output, structure, model, request.settings)
    with folder.at_work(request.resume):
        return _run(folder, model, request)


def _run(folder: Folder, model: LoadedModel, request: Request) -> SimulationResult:
    settings, structure = request.settings, folder.structure
    checkpoint = folder.opened(request.resume, request.steps)
    first = 0 if checkpoint is None else checkpoint.step
    # Of every resumption its own, for where OpenMM cannot go on with the random numbers of before.
    seeds = openmm_seeds([settings.seed, first], 3)
    with forces_of_run(folder.outside):
        assembly = assemble(structure, model, settings, folder.failure, seeds[0])
        platform = find_platform(request.platform, settings)
        context = _context(assembly, structure, make_integrator(settings, seeds[1]), platform, settings.strict)
    atoms, freedom = structure.topology.getNumAtoms(), assembly.degrees_of_freedom
    mass = float(masses_of(assembly.system).sum())
    watched = assembly.computation, UncertaintyWatch(model, request.stop_above)
    observer = Observer(atoms, freedom, mass, structure.box is not None, settings.temperature, *watched)
    course = _Course(folder, context, observer, Bonds.of(structure.topology), request)
    if checkpoint is not None:
        course.resume(checkpoint)
    name = context.getPlatform().getName()
    folder.begin(platform=name, atoms=atoms, ml_atoms=assembly.ml_atoms, degrees_of_freedom=freedom)
    status, message = "failed", ""
    try:
        recorder = course.start(seeds[2]) if checkpoint is None else folder.recorder(checkpoint.frames)
        if recorder is not None:
            course.go(recorder)
        status = "completed" if course.step >= request.steps else "stopped"
    except KeyboardInterrupt:
        status = "stopped"
        raise
    except (SimulationFailed, openmm.OpenMMException) as error:
        message = str(error)
        if INTERRUPTED in message:
            status, message = "stopped", ""
            raise KeyboardInterrupt(INTERRUPTED) from error
        raise SimulationFailed(f"{message} [files up to step {course.step} are in {folder.path}]") from error
    finally:
        folder.end(status, message, course.step)
    return SimulationResult(
        folder=folder.path,
        steps=course.step,
        time=course.step * settings.picoseconds,
        stopped=status == "stopped",
        temperature=folder.temperature,
        speed=folder.speed,
        broken_bonds=folder.broken,
        exact=course.exact,
        outside=folder.outside,
    )


@dataclass
class _Course:
    """A context on its way."""

    folder: Folder
    context: openmm.Context
    observer: Observer
    bonds: Bonds
    request: Request
    exact: bool = True
    _first: int = 0
    _begun: float = field(default_factory=time.perf_counter)

    @property
    def step(self) -> int:
        """Steps since the start of the simulation."""
        return int(self.context.getStepCount())

    def start(self, seed: int) -> Recorder | None:
        """Minimise, draw velocities, write the first files; ``None`` if asked to stop meanwhile."""
        settings = self.folder.settings
        if settings.minimize:
            with self.folder.outside.unwatched():
                _minimize(self.context, self.request.should_stop)
        if self.request.should_stop():
            return None
        self.context.setVelocitiesToTemperature(settings.temperature, seed)
        _stop_centre_of_mass(self.context)
        start = self.observer.sample(self.context)
        self._watch(start.positions, start.box)
        self.folder.write_topology(start.positions)
        recorder = self.folder.recorder()
        self._checkpoint(recorder)
        self._begun = time.perf_counter()
        return recorder

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was taken, files included."""
        restored = checkpoint.restore(self.context)
        self.exact = restored and self.folder.settings.ensemble != "npt"  # no checkpoint holds the barostat's numbers
        if not restored:
            _log.warning("another platform or version of OpenMM: the simulation goes on with new random numbers")
        cut_back(self.folder.path, checkpoint.sizes, checkpoint.frames, self.folder.settings.report_interval)
        self._first = checkpoint.step
        self._begun = time.perf_counter()

    def go(self, recorder: Recorder) -> None:
        """To the last step, or until asked to stop; there is a checkpoint at the end."""
        request, interval, burst = self.request, self.folder.settings.report_interval, 1
        while self.step < request.steps and not request.should_stop():
            begun = time.perf_counter()
            step = self.step
            events = (_next(step, interval), _next(step, request.checkpoint_interval), request.steps, step + burst)
            self.context.getIntegrator().step(min(events) - step)
            # As many steps as fit into the patience, from what the last took; at most twice as many as before.
            seconds = (time.perf_counter() - begun) / (self.step - step)
            burst = max(1, min(2 * burst, int(_PATIENCE / max(seconds, 1e-9))))
            sample = None
            if self.step % interval == 0:
                sample = self.observer.sample(self.context, uncertain=recorder.uncertain)
                recorder.add(sample)
                self._watch(sample.positions, sample.box)
            if self.step % request.checkpoint_interval == 0:
                self._checkpoint(recorder)
            picoseconds = (self.step - self._first) * self.folder.settings.picoseconds
            self.folder.speed = 86.4 * picoseconds / (time.perf_counter() - self._begun)  # ns/day
            request.on_progress(Progress(self.step, request.steps, self.folder.speed, sample))
        self._checkpoint(recorder)

    def _checkpoint(self, recorder: Recorder) -> None:
        self.observer.sample(self.context)  # nothing that exploded takes the place of a good checkpoint
        Checkpoint.take(self.context, recorder.frames, recorder.sizes()).write(self.folder.checkpoint)

    def _watch(self, positions: np.ndarray, box: np.ndarray | None) -> None:
        for bond, length in self.bonds.broken(positions, box):
            if bond not in self.folder.broken:
                self.folder.broken[bond] = self.step
                if len(self.folder.broken) <= _MOST_WARNINGS:
                    _log.warning("step %d: the bond of %s is broken, %.2f A long", self.step, bond, length)


class _StopMinimizing(openmm.MinimizationReporter):
    """Ends a minimisation when asked to."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        super().__init__()
        self._should_stop = should_stop

    def report(self, iteration: int, x: object, grad: object, args: object) -> bool:
        """Called by OpenMM; true ends the minimisation."""
        return self._should_stop()


def _minimize(context: openmm.Context, should_stop: Callable[[], bool]) -> None:
    """To the nearest minimum; back to the start where OpenMM's minimiser ends higher than it began."""
    before = context.getState(positions=True, energy=True)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=_MOST_ITERATIONS, reporter=_StopMinimizing(should_stop))
    change = context.getState(energy=True).getPotentialEnergy() - before.getPotentialEnergy()
    if not change._value <= 0.0:
        _log.warning("the minimisation failed (energy changed by %s); the simulation begins where it did", change)
        context.setPositions(before.getPositions())


def _context(
    assembly: Assembly,
    structure: Structure,
    integrator: openmm.Integrator,
    platform: tuple[openmm.Platform, dict[str, str]],
    strict: bool,
) -> openmm.Context:
    """At the positions of the structure, with constraints and virtual sites (caps of cut bonds, too) in place.

    If strict, the domain is asked here, before anything is written.
    """
    try:
        context = openmm.Context(assembly.system, integrator, *platform)
        caps = assembly.system.getNumParticles() - len(structure.positions)
        context.setPositions(np.vstack([structure.positions / NM, np.zeros((caps, 3))]))
        context.applyConstraints(1e-6)
        context.computeVirtualSites()
        if strict:
            context.getState(energy=True)
    except openmm.OpenMMException as error:
        raise StructureError(f"{structure.path}: OpenMM cannot simulate this system: {error}") from error
    for name, value in assembly.parameters.items():
        context.setParameter(name, value)
    return context


def _stop_centre_of_mass(context: openmm.Context) -> None:
    """Take the motion of the whole from the velocities."""
    masses = masses_of(context.getSystem())
    velocities = context.getState(velocities=True).getVelocities(asNumpy=True)._value
    mean = masses @ velocities / masses.sum()
    context.setVelocities(velocities - np.where(masses[:, None] > 0.0, mean, 0.0))


def _next(step: int, interval: int) -> int:
    """The next multiple of an interval after a step."""
    return (step // interval + 1) * interval
