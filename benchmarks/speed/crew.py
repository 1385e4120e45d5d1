"""Processes that work at the same time, as one would use a machine for many trajectories: a process for each core."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.jump_molecule import Molecule, read_molecule
from mlff.equijump.artifact import LoadedJump
from mlff.sampling.peptides import Peptide, sample
from mlff.sampling.trajectories import CompiledCopies, Copies, GenerationConfig

Array = NDArray[np.float64]
Kind = Literal["jumps", "plain dynamics", "copies", "compiled copies"]

_NM_PER_ANGSTROM = 0.1
_WARM_UP = 3  # jumps or frames; TorchScript compiles in its first two calls


@dataclass(frozen=True)
class Contestant:
    """What takes part.

    Attributes:
        name: of its row.
        kind: jumps of the model, OpenMM with one molecule in a context, copies of it in one context, or copies in
            compiled PyTorch (the platform torch of `equijump generate-data`).
        members: molecules that each process moves at once.
        processes: that do so at the same time.
    """

    name: str
    kind: Kind
    members: int
    processes: int


@dataclass(frozen=True, eq=False)
class Job:
    """What every process needs to know.

    Attributes:
        structure: PDB file.
        positions: [N,3] in Å, minimised, of all atoms.
        config: conditions of the dynamics; a frame is read every ``frame_interval``.
        model: that jumps; travels as path and hash.
        lag: ps.
        latent_steps: of a jump; None: the model's own.
        seed: of all random numbers, with the number of the process.
    """

    structure: Path
    positions: Array
    config: GenerationConfig
    model: LoadedJump
    lag: float
    latent_steps: int | None
    seed: int


class Jumps:
    """Jumps of a batch of molecules, each turn from where the last one ended."""

    def __init__(self, job: Job, molecule: Molecule, members: int, number: int) -> None:
        self.unit = job.lag * members  # ps of trajectory
        self._model, self._lag, self._steps = job.model, job.lag, job.latent_steps
        atoms = torch.from_numpy(job.positions[molecule.heavy])
        self._start = molecule.layout.cloud(atoms.expand(members, *atoms.shape))
        self._generator = torch.Generator().manual_seed(job.seed + number)
        self.cloud = self._start
        self.exploded = False

    def run(self, jumps: int) -> None:
        """Make jumps; the coordinates of each come to the CPU, as those of frames do."""
        for _ in range(jumps):
            self.cloud = self._model.jump(self.cloud, self._lag, generator=self._generator, steps=self._steps)
            frame = self.cloud.coordinates.to("cpu")
        if jumps and not bool(torch.isfinite(frame).all()):
            self.exploded, self.cloud = True, self._start


class PlainDynamics:
    """One molecule in one context, as OpenMM is commonly used; a frame is read every ``frame_interval``."""

    exploded = False

    def __init__(self, job: Job, molecule: Molecule, members: int, number: int) -> None:
        config = job.config
        self.unit = config.frame_interval
        self._frames = sample(
            Peptide(molecule.peptide.topology, job.positions),
            config.solvent,
            config.temperature,
            interval=config.frame_interval,
            equilibration=0.0,
            seed=job.seed + number,
            dynamics=config.dynamics,
        )

    def run(self, frames: int) -> None:
        """Go on by some frames."""
        for _ in range(frames):
            next(self._frames)


class CopiedDynamics:
    """Copies side by side."""

    exploded = False
    kind: type[Copies] | type[CompiledCopies] = Copies

    def __init__(self, job: Job, molecule: Molecule, members: int, number: int) -> None:
        config = job.config
        self.unit = config.frame_interval * members
        self._steps = config.steps_per_frame
        positions = _NM_PER_ANGSTROM * (job.positions - job.positions.mean(axis=0))
        self.copies = self.kind(Peptide(molecule.peptide.topology, job.positions), members, config)
        self.copies.start(np.repeat(positions[None], members, axis=0), None, 1 + job.seed + number)

    def run(self, frames: int) -> None:
        """Go on by some frames."""
        for _ in range(frames):
            self.copies.run(self._steps)


class CompiledDynamics(CopiedDynamics):
    """The same in compiled PyTorch."""

    kind = CompiledCopies


_RUNNERS: dict[Kind, Callable[[Job, Molecule, int, int], Jumps | PlainDynamics | CopiedDynamics]] = {
    "jumps": Jumps,
    "plain dynamics": PlainDynamics,
    "copies": CopiedDynamics,
    "compiled copies": CompiledDynamics,
}


class Crew(AbstractContextManager["Crew"]):
    """Worker processes, each with every contestant that it was ever asked for.

    Args:
        job: what they need to know.
        size: how many.

    Attributes:
        exploded: names of contestants whose coordinates became no numbers, and that began anew.
    """

    def __init__(self, job: Job, size: int) -> None:
        self.job = job
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(size)]
        self._processes = [
            context.Process(target=_serve, args=(theirs, job, number), daemon=True)
            for number, (_, theirs) in enumerate(pipes)
        ]
        self._pipes = [ours for ours, _ in pipes]
        for process, (_, theirs) in zip(self._processes, pipes, strict=True):
            process.start()
            theirs.close()  # so that a worker that dies is the end of its pipe
        self.exploded: set[str] = set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=0.0 if error is not None else 5.0)
            if process.is_alive():
                process.terminate()
                process.join()

    def rate(self, contestant: Contestant, units: int) -> float:
        """ps of trajectory per second, of all its processes together, over so many jumps or frames.

        Each process is judged by its own time and the rates are added: in use none would wait for the others.

        Raises:
            RuntimeError: a process failed.
        """
        pipes = self._pipes[: contestant.processes]
        for pipe in pipes:
            pipe.send((contestant, units))
        answers = []
        for pipe in pipes:
            try:
                answers.append(pipe.recv())
            except EOFError as error:
                raise RuntimeError(f"{contestant.name}: a process was killed (out of memory?)") from error
        for answer in answers:
            if isinstance(answer, str):
                raise RuntimeError(f"{contestant.name}: {answer}")
        if any(exploded for _, _, exploded in answers):
            self.exploded.add(contestant.name)
        return sum(ps / seconds for ps, seconds, _ in answers)


def _serve(pipe: Connection, job: Job, number: int) -> None:
    torch.set_num_threads(1)
    runners: dict[str, Jumps | PlainDynamics | CopiedDynamics] = {}
    molecule = None
    while True:
        try:
            contestant, units = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            molecule = molecule or read_molecule(job.structure)
            runner = runners.get(contestant.name)
            if runner is None:
                runner = _RUNNERS[contestant.kind](job, molecule, contestant.members, number)
                runner.run(_WARM_UP)
                runners[contestant.name] = runner
            begun = time.perf_counter()
            runner.run(units)
            pipe.send((units * runner.unit, time.perf_counter() - begun, runner.exploded))
        except Exception as error:  # of torch or OpenMM: the first process tells it
            pipe.send(f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            return
