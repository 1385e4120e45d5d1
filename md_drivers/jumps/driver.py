"""``rollout``: a structure and a jump model in, trajectories out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from md_drivers.common.checks import check_count
from md_drivers.jumps.errors import OutOfMemory, is_out_of_memory
from md_drivers.jumps.folder import RolloutFolder
from md_drivers.jumps.models import JumpSource, open_jump_model
from md_drivers.jumps.noise import ReplicaNoise
from md_drivers.jumps.settings import RolloutSettings
from md_drivers.jumps.start import Start, check_residues, geometry_check, read_start
from md_drivers.jumps.state import COUNTS, State
from mlff.artifacts import LoadedJump
from mlff.proteins import TensorCloud
from mlff.proteins.validity import GeometryCheck

_SAVE_EVERY = 20.0  # seconds
_BUFFER = 2_000_000  # atoms of frames that wait for the disk
_FARTHEST = 1e4  # Å from the centre of the molecule; beyond, it has exploded (and XTC files overflow)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RolloutProgress:
    """How far a rollout is.

    Attributes:
        step, steps: jumps done, and in all.
        speed: ns per second of wall time, all replicas together, since the start or the resumption.
        valid: share of valid frames so far; ``None`` before any was judged.
    """

    step: int
    steps: int
    speed: float
    valid: float | None


@dataclass(frozen=True)
class RolloutResult:
    """Outcome of a rollout.

    Attributes:
        folder: with the files.
        steps: jumps since the start, those before a resumption included.
        time: ps of each replica.
        frames: of all replicas together.
        valid: share of them that are valid; ``None`` without frames.
        speed: ns per second of wall time, all replicas together, since the start or the resumption.
        failed: replicas whose coordinates exploded, with the step that made no frame.
        stopped: the rollout was asked to stop before the last step.
    """

    folder: Path
    steps: int
    time: float
    frames: int
    valid: float | None
    speed: float
    failed: dict[int, int] = field(default_factory=dict)
    stopped: bool = False


def rollout(
    structure: str | os.PathLike[str],
    model: JumpSource,
    output: str | os.PathLike[str],
    *,
    steps: int,
    settings: RolloutSettings,
    device: str | torch.device | None = None,
    strict: bool = False,
    resume: bool = False,
    on_progress: Callable[[RolloutProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> RolloutResult:
    """Trajectories of heavy atoms by repeated jumps from a structure.

    Writes into ``output``: ``topology.pdb`` (the start), ``replica_000.xtc`` and so on with one frame for each jump,
    ``frames.csv`` with the geometry of every frame, ``rollout.json``, ``state.npz`` (to resume from), ``rollout.png``
    and, for peptides, ``ramachandran.png``. No frame is filtered, repaired or left out; a replica whose coordinates
    explode ends before that jump, and the result says so. A replica does not depend on how many others run, but for
    rounding errors.

    Args:
        structure: PDB or mmCIF file of proteins or peptides, with hydrogens or without. Of several models in it,
            replicas begin with one after the other.
        model: name of a shipped checkpoint, path of an exported file, or a loaded model.
        output: folder, new or empty unless ``resume``.
        steps: jumps since the start, those before a resumption included.
        settings: lag, replicas and all else that defines the rollout.
        device: of the model; ``None`` takes a GPU if there is one.
        strict: refuse residues that the model was not trained on, instead of a warning.
        resume: go on from the state in ``output``; exactly on a CPU, to rounding errors on a GPU or with another
            ``batch_size``, which may change.
        on_progress: called after each jump.
        should_stop: asked between jumps; when true, the state is saved and the rollout ends.

    Raises:
        ImportError: MDTraj is missing.
        FileExistsError: ``output`` has files and ``resume`` is off.
        FileNotFoundError: no such structure or model, or nothing to resume.
        ValueError: a setting without meaning, a lag that the model was not trained for, a model of another kind; as
            :class:`md_drivers.StructureError`, a structure or state that cannot be used, or other settings than those
            of the rollout to resume.
        OutOfMemory: so many replicas do not fit at once; go on with ``resume`` and a smaller ``batch_size``.
    """
    check_count("steps", steps)
    loaded = open_jump_model(model, device, settings.dtype)
    loaded.check_lag(settings.lag)
    start = read_start(Path(structure))
    untrained = check_residues(loaded, start, strict)
    check, borrowed = geometry_check(loaded, start)

    folder = RolloutFolder(Path(output), start, loaded, settings)
    first = _first_state(start, settings.replicas)
    state = folder.state_to_resume(first.coordinates.shape, steps) if resume else None
    if not resume:
        folder.check_empty()
    folder.begin({"untrained_residues": untrained, "terms_judged_by_the_start": borrowed})
    if state is None:
        state = first
        folder.frames.create()
    else:
        folder.frames.cut_back(state.sizes, state.frames)
    course = _Course(folder, loaded, start, check, settings, state)
    try:
        course.go(steps, on_progress or (lambda progress: None), should_stop or (lambda: False))
        course.save()
    except BaseException:
        folder.update(status="interrupted")  # what was saved last is what a resumption goes on from
        raise
    folder.update(**course.summary(steps))
    from md_drivers.jumps.figures import draw_figures  # matplotlib takes its time to import

    draw_figures(folder, start.layout.topology)
    return course.result(steps)


def _first_state(start: Start, replicas: int) -> State:
    models = torch.arange(replicas) % len(start.clouds.residues)
    return State(0, start.clouds.coordinates[models].numpy(), np.full(replicas, -1, dtype=np.int64))


class _Course:
    """A rollout on its way."""

    def __init__(
        self,
        folder: RolloutFolder,
        model: LoadedJump,
        start: Start,
        check: GeometryCheck,
        settings: RolloutSettings,
        state: State,
    ) -> None:
        self.state = state
        self._folder, self._model, self._layout = folder, model, start.layout
        self._check, self._settings = check, settings
        self._cloud = start.clouds[0]  # on the CPU, as all coordinates are between jumps
        self._noise = ReplicaNoise(settings.seed, start.layout.atom_mask, model.num_noises(settings.latent_steps))
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []  # replicas [R'] and their atoms [R',M,3] of each step
        self._begun = self._saved = time.perf_counter()
        self._before = state.seconds
        self._first_frames = int(state.frames.sum())

    def go(self, steps: int, on_progress: Callable[[RolloutProgress], None], should_stop: Callable[[], bool]) -> None:
        """To the last step, or until asked to stop, or until no replica is left."""
        state = self.state
        while state.step < steps and len(state.running) and not should_stop():
            self._jump()
            waiting = sum(atoms.shape[0] * atoms.shape[1] for _, atoms in self._pending)
            if waiting >= _BUFFER or time.perf_counter() - self._saved > _SAVE_EVERY:
                self.save()
            on_progress(RolloutProgress(state.step, steps, self.speed, self.valid))

    def _jump(self) -> None:
        """One jump of all replicas that go on, some of which may end there."""
        state, settings = self.state, self._settings
        running = state.running
        noise = self._noise(state.step, running.tolist())
        old = torch.from_numpy(state.coordinates[running]).to(self._model.dtype)
        size = settings.batch_size or len(running)
        parts = range(0, len(running), size)
        new = torch.cat([self._moved(old[i : i + size], noise[:, i : i + size]) for i in parts])
        cloud = self._batch(new)
        atoms = self._layout.atoms(cloud).numpy()
        reach = np.abs(atoms - cloud.center().numpy()[:, None]).max((1, 2))
        good = reach < _FARTHEST  # false for what is no number
        state.step += 1
        state.coordinates[running[good]] = new.numpy()[good]
        state.stopped[running[~good]] = state.step
        for replica in running[~good].tolist():
            _log.warning(
                "replica %d exploded at step %d; its trajectory ends with step %d", replica, state.step, state.step - 1
            )
        self._pending.append((running[good], atoms[good]))

    def _moved(self, old: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Coordinates [R,N,3,C] after a jump of replicas that the network sees at once, float64 and off the device."""
        try:
            new = self._model.jump(self._batch(old), self._settings.lag, noise=noise, steps=self._settings.latent_steps)
            return new.coordinates.to("cpu", torch.float64)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            count, device = len(old), self._model.device
            cure = (
                f"set --batch-size (batch_size) below {count} and go on with --resume (resume=True)"
                if count > 1
                else "one is the least, so take a device with more memory"
            )
            raise OutOfMemory(f"not enough memory on {device} for {count} replica(s) at once: {cure}") from error

    def _batch(self, coordinates: torch.Tensor) -> TensorCloud:
        cloud, count = self._cloud, len(coordinates)
        labels = (cloud.residues, cloud.atom_mask, cloud.chains)
        return TensorCloud(coordinates, *(x.expand(count, *x.shape) for x in labels))

    def save(self) -> None:
        """Judge and write the frames that wait, then the state."""
        state, files = self.state, self._folder.frames
        counts = [len(replicas) for replicas, _ in self._pending]
        if sum(counts):
            steps = np.repeat(np.arange(state.step - len(counts), state.step) + 1, counts)
            replicas = np.concatenate([replicas for replicas, _ in self._pending])
            atoms = np.concatenate([atoms for _, atoms in self._pending])
            geometry = self._check(atoms)
            for replica in np.unique(replicas).tolist():
                own = replicas == replica
                files.add(replica, steps[own], atoms[own])
            files.add_rows(replicas, steps, geometry, _gyration(atoms))
            state.counts["frames"] += len(atoms)
            for name in COUNTS[1:]:
                state.counts[name] += int(getattr(geometry, name).sum())
        self._pending.clear()
        state.seconds = self._before + time.perf_counter() - self._begun
        state.sizes = files.sizes()
        state.write(self._folder.state)
        self._saved = time.perf_counter()

    @property
    def valid(self) -> float | None:
        """Share of valid frames among those that were judged."""
        counts = self.state.counts
        return counts["valid"] / counts["frames"] if counts["frames"] else None

    @property
    def speed(self) -> float:
        """ns per second of wall time since the start or the resumption."""
        made = int(self.state.frames.sum()) - self._first_frames
        return 1e-3 * self._settings.lag * made / max(time.perf_counter() - self._begun, 1e-9)

    @property
    def _failed(self) -> dict[int, int]:
        stopped = self.state.stopped
        return {int(r): int(stopped[r]) for r in np.flatnonzero(stopped >= 0)}

    def summary(self, steps: int) -> dict[str, object]:
        """For the record."""
        state, counts = self.state, self.state.counts
        bonds, angles = len(self._check.terms.bonds), len(self._check.terms.angles)
        frames = max(1, counts["frames"])
        return {
            "status": "completed" if state.step >= steps else "failed" if not len(state.running) else "stopped",
            "steps": state.step,
            "time_ps": state.step * self._settings.lag,
            "frames": counts["frames"],
            "valid_frames": counts["valid"],
            "valid_share": self.valid,
            "bond_outlier_share": counts["bond_outliers"] / (frames * max(1, bonds)),
            "angle_outlier_share": counts["angle_outliers"] / (frames * max(1, angles)),
            "clashes": counts["overlaps"],
            "inverted_centres": counts["inverted"],
            "limits": self._check.limits.model_dump(),
            "exploded_replicas": {str(replica): step for replica, step in self._failed.items()},
            "wall_seconds": state.seconds,
            "ns_per_second": self.speed,
        }

    def result(self, steps: int) -> RolloutResult:
        """For the caller."""
        state = self.state
        return RolloutResult(
            folder=self._folder.path,
            steps=state.step,
            time=state.step * self._settings.lag,
            frames=state.counts["frames"],
            valid=self.valid,
            speed=self.speed,
            failed=self._failed,
            stopped=state.step < steps and len(state.running) > 0,
        )


def _gyration(atoms: np.ndarray) -> np.ndarray:
    """[F] in Å, radius of gyration of heavy atoms [F,M,3] of equal weight."""
    centred = atoms - atoms.mean(1, keepdims=True)
    return np.sqrt(np.square(centred).sum(-1).mean(-1))
