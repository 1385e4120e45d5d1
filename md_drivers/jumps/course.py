"""A rollout on its way, from its first jump to its last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import torch

from md_drivers.jumps.errors import OutOfMemory, is_out_of_memory
from md_drivers.jumps.folder import RolloutFolder
from md_drivers.jumps.judgement import Judgement
from md_drivers.jumps.noise import ReplicaNoise
from md_drivers.jumps.results import Confidence, RolloutProgress, RolloutResult
from md_drivers.jumps.state import COUNTS, State
from mlff.proteins import TensorCloud

_SAVE_EVERY = 20.0  # seconds
_BUFFER = 2_000_000  # atoms of frames that wait for the disk
_FARTHEST = 1e4  # Å from the centre of the molecule; beyond, it has exploded (and XTC files overflow)
_log = logging.getLogger(__name__)


class Course:
    """A rollout on its way: ``judged`` is its start, ``state`` where it begins or goes on."""

    def __init__(self, folder: RolloutFolder, judged: Judgement, state: State) -> None:
        self.state = state
        self._folder, self._model, self._settings, self._judged = folder, folder.model, folder.settings, judged
        self._check = judged.check
        self._layout = folder.start.layout
        self._cloud = folder.start.clouds[0]  # on the CPU, as all coordinates are between jumps
        noises = folder.model.num_noises(folder.settings.latent_steps)
        self._noise = ReplicaNoise(folder.settings.seed, self._layout.atom_mask, noises)
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []  # replicas [R'] and their atoms [R',M,3] of each step
        self._begun = self._saved = time.perf_counter()
        self._before = state.seconds
        self._first_frames = int(state.frames.sum())

    def go(
        self, steps: int, on_progress: Callable[[RolloutProgress], None], should_stop: Callable[[], bool]
    ) -> RolloutResult:
        """To the last step, or until asked to stop, or until no replica is left."""
        state = self.state
        try:
            while state.step < steps and len(state.running) and not should_stop():
                self._jump()
                waiting = sum(atoms.shape[0] * atoms.shape[1] for _, atoms in self._pending)
                if waiting >= _BUFFER or time.perf_counter() - self._saved > _SAVE_EVERY:
                    self._save()
                on_progress(RolloutProgress(state.step, steps, self.speed, self.valid))
            self._save()
        except BaseException:
            self._folder.update(status="interrupted")  # what was saved last is what a resumption goes on from
            raise
        self._folder.update(**self._summary(steps))
        result = RolloutResult(
            folder=self._folder.path,
            steps=state.step,
            time=state.step * self._settings.lag,
            frames=state.counts["frames"],
            valid=self.valid,
            speed=self.speed,
            confidence=self.confidence,
            failed=self._failed,
            stopped=state.step < steps and len(state.running) > 0,
        )
        if not result.usable:
            _log.warning("most frames are no valid structures: the model cannot make jumps of this molecule")
        return result

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

    def _save(self) -> None:
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
    def confidence(self) -> Confidence:
        """How far the frames so far can be trusted."""
        invalid = None if self.valid is None else 1.0 - self.valid
        return Confidence(invalid, self._model.metadata.invalid_share, self._judged.familiarity)

    @property
    def speed(self) -> float:
        """ns per second of wall time since the start or the resumption."""
        made = int(self.state.frames.sum()) - self._first_frames
        return 1e-3 * self._settings.lag * made / max(time.perf_counter() - self._begun, 1e-9)

    @property
    def _failed(self) -> dict[int, int]:
        stopped = self.state.stopped
        return {int(r): int(stopped[r]) for r in np.flatnonzero(stopped >= 0)}

    def _summary(self, steps: int) -> dict[str, object]:
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
            "confidence": self.confidence.as_dict(),
            "bond_outlier_share": counts["bond_outliers"] / (frames * max(1, bonds)),
            "angle_outlier_share": counts["angle_outliers"] / (frames * max(1, angles)),
            "clashes": counts["overlaps"],
            "inverted_centres": counts["inverted"],
            "limits": self._check.limits.model_dump(),
            "exploded_replicas": {str(replica): step for replica, step in self._failed.items()},
            "wall_seconds": state.seconds,
            "ns_per_second": self.speed,
        }


def _gyration(atoms: np.ndarray) -> np.ndarray:
    """[F] in Å, radius of gyration of heavy atoms [F,M,3] of equal weight."""
    centred = atoms - atoms.mean(1, keepdims=True)
    return np.sqrt(np.square(centred).sum(-1).mean(-1))
