"""Starts, and many dynamics from each with new velocities and new noise."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.jump_molecule import Molecule, described, minimised, read_molecule
from mlff.sampling.trajectories import CompiledCopies, Copies, GenerationConfig, side_by_side
from mlff.support.files import replacing

Array = NDArray[np.float64]

_ANGSTROM_PER_NM = 10.0
_PS_AT_ONCE = 1.0  # of the ways to the starts
_STARTS, _RELAUNCHES = 0, 1  # so that their random numbers differ


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        structure: PDB file of the molecule.
        config: conditions; its ``copies`` move side by side.
        lag: ps of each relaunch.
        starts, relaunches: S, and R from each.
        spread_temperature, spread: K and ps of hot dynamics that spread the starts.
        equilibration: ps at the temperature of the conditions after that.
        seed: of all random numbers.
    """

    structure: Path
    config: GenerationConfig
    lag: float
    starts: int
    relaunches: int
    spread_temperature: float
    spread: float
    equilibration: float
    seed: int

    def __post_init__(self) -> None:
        step = 1e-3 * self.config.dynamics.time_step
        if not self.lag > 0 or abs(round(self.lag / step) * step - self.lag) > 1e-6 * self.lag:
            raise ValueError(f"a lag of {self.lag:g} ps is no whole number of time steps of {step:g} ps")
        if self.starts < 1 or self.relaunches < 4 or self.relaunches % 2:
            raise ValueError(
                f"at least one start and an even number of at least 4 relaunches are needed, got {self.starts} and "
                f"{self.relaunches}"
            )

    def record(self, sha256: str) -> dict[str, Any]:
        """What the outcome depends on; the number of copies is part of it, as they share a random generator.

        Args:
            sha256: of the structure file.
        """
        names = ("lag", "starts", "relaunches", "spread_temperature", "spread", "equilibration", "seed")
        return {
            "structure_sha256": sha256,
            **{name: getattr(self, name) for name in names},
            "copies": self.config.copies,
            **described(self.config),
        }

    def steps(self, picoseconds: float) -> int:
        """Time steps."""
        return round(1e3 * picoseconds / self.config.dynamics.time_step)


@dataclass(frozen=True, eq=False)
class Relaunches:
    """What molecular dynamics does from some starts.

    Attributes:
        starts: [S,M,3] in Å, heavy atoms.
        frames: [S,R,M,3] in Å, a lag later, in any position and orientation.
        record: of :meth:`Plan.record`.
    """

    starts: Array
    frames: Array
    record: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write an npz file, in single precision."""
        starts, frames = self.starts.astype(np.float32), self.frames.astype(np.float32)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, record=np.array(json.dumps(self.record)), starts=starts, frames=frames)

    @staticmethod
    def read(path: Path, record: dict[str, Any]) -> Relaunches:
        """The content of a file of :meth:`write`. No pickle is loaded.

        Raises:
            ValueError: damaged, or made with other settings than ``record``; the message names them.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                found = json.loads(str(archive["record"]))
                starts, frames = (archive[name].astype(np.float64) for name in ("starts", "frames"))
        except Exception as error:  # zip and array readers raise many kinds
            raise ValueError(f"{path}: not a readable file of relaunches ({error}); delete it") from error
        wanted = json.loads(json.dumps(record))
        other = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        if other:
            words = ", ".join(f"{name} {found.get(name)} instead of {wanted.get(name)}" for name in other)
            raise ValueError(f"{path}: made with other settings ({words}); choose another folder or delete it")
        return Relaunches(starts, frames, found)


def run(plan: Plan, record: dict[str, Any], *, processes: int, on_done: Callable[[], None]) -> Relaunches:
    """Run all of it. The outcome does not depend on the number of processes.

    Args:
        record: of the plan.
        on_done: called :func:`parts` times.

    Raises:
        ValueError: the molecule cannot be used, or its dynamics explode.
    """
    groups = _groups(plan.starts, plan.config.copies)
    # spawn: a forked process would inherit the threads and locks of libraries in this one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (plan,)) as pool:
        try:
            parts = [pool.submit(_starts, number, size) for number, size in enumerate(groups)]
            whole = np.concatenate(list(_in_order(parts, on_done)))
            relaunched = [pool.submit(_relaunch, number, start) for number, start in enumerate(whole)]
            frames = np.stack(list(_in_order(relaunched, on_done)))
        except BrokenProcessPool as error:
            raise ValueError("a worker process was killed (out of memory?); use fewer --processes") from error
        finally:
            pool.shutdown(cancel_futures=True)
    heavy = read_molecule(plan.structure).heavy
    return Relaunches(_ANGSTROM_PER_NM * whole[:, heavy], _ANGSTROM_PER_NM * frames, record)


def parts(plan: Plan) -> int:
    """How many parts of the work :func:`run` tells of."""
    return len(_groups(plan.starts, plan.config.copies)) + plan.starts


def _groups(number: int, most: int) -> list[int]:
    return [min(most, number - first) for first in range(0, number, most)]


def _in_order(futures: list[Future[Array]], on_done: Callable[[], None]) -> Iterator[Array]:
    for future in as_completed(futures):
        future.result()
        on_done()
    yield from (future.result() for future in futures)


class _Bench:
    """What a worker process keeps: the molecule and its contexts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._contexts: dict[tuple[int, float], Copies | CompiledCopies] = {}

    @cached_property
    def molecule(self) -> Molecule:
        """Minimised."""
        return minimised(read_molecule(self.plan.structure), self.plan.config)

    def copies(self, number: int, temperature: float) -> Copies | CompiledCopies:
        """A context, made once."""
        key = (number, temperature)
        if key not in self._contexts:
            config = self.plan.config.model_copy(update={"temperature": temperature})
            self._contexts[key] = side_by_side(self.molecule.peptide, number, config)
        return self._contexts[key]

    def seed(self, *entropy: int) -> int:
        """For OpenMM, which takes 0 for "any seed"."""
        state = np.random.SeedSequence([self.plan.seed, *entropy]).generate_state(1)
        return 1 + int(state[0]) % (2**31 - 1)


_BENCH: dict[str, _Bench] = {}  # of a worker process


def _begin(plan: Plan) -> None:
    torch.set_num_threads(1)
    _BENCH["bench"] = _Bench(plan)


def _starts(group: int, number: int) -> Array:
    """[number,N,3] in nm."""
    bench = _BENCH["bench"]
    plan = bench.plan
    positions = bench.molecule.peptide.positions / _ANGSTROM_PER_NM
    positions = np.repeat(positions[None] - positions.mean(axis=0), number, axis=0)
    for stage, (temperature, time) in enumerate(
        ((plan.spread_temperature, plan.spread), (plan.config.temperature, plan.equilibration))
    ):
        copies = bench.copies(number, temperature)
        copies.start(positions, None, bench.seed(_STARTS, group, stage))
        left = plan.steps(time)
        while left > 0:  # in pieces, so that Ctrl-C is heard
            positions = copies.run(min(left, plan.steps(_PS_AT_ONCE)))
            left -= plan.steps(_PS_AT_ONCE)
    return positions


def _relaunch(number: int, start: Array) -> Array:
    """[R,M,3] in nm, heavy atoms, of a start [N,3]."""
    bench = _BENCH["bench"]
    plan = bench.plan
    frames = []
    for part, size in enumerate(_groups(plan.relaunches, plan.config.copies)):
        copies = bench.copies(size, plan.config.temperature)
        copies.start(np.repeat(start[None], size, axis=0), None, bench.seed(_RELAUNCHES, number, part))
        frames.append(copies.run(plan.steps(plan.lag))[:, bench.molecule.heavy])
    return np.concatenate(frames)
