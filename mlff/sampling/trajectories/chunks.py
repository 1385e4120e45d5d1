"""A stretch of some trajectories of a system: made from the state before it, and kept in one file with the state after.

A chunk depends on the settings and the chunk before only, so that interruptions leave no trace in the data.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlff.sampling.building import Peptide
from mlff.sampling.packages import package_versions
from mlff.sampling.trajectories.compiled_copies import CompiledCopies, side_by_side
from mlff.sampling.trajectories.config import GenerationConfig, SystemConfig
from mlff.sampling.trajectories.copies import Copies
from mlff.sampling.trajectories.starts import molecule, start
from mlff.support.errors import RunError
from mlff.support.files import replacing
from mlff.support.npz import read_npz, write_npz
from mlff.support.units import NM_PER_ANGSTROM

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 3

#: Frames are kept in picometres, the resolution of XTC files.
PICOMETRES_PER_NM = 1000.0


@dataclass(frozen=True)
class Group:
    """Trajectories ``first`` to ``last - 1`` of a system, which run side by side."""

    system: SystemConfig
    number: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Trajectories."""
        return self.last - self.first

    def path(self, folder: Path, chunk: int) -> Path:
        """File of a chunk in the folder of a data set."""
        return folder / self.system.folder / "chunks" / f"{self.number:03d}_{chunk:05d}.npz"

    def finished(self, folder: Path) -> int:
        """Chunks that exist, without a gap."""
        number = 0
        while self.path(folder, number).exists():
            number += 1
        return number


@dataclass(frozen=True)
class Chunk:
    """F frames of C trajectories of N atoms, M of them heavy.

    Attributes:
        frames: [F,C,M,3] int16, pm, the centre of all atoms at the origin.
        positions: [C,N,3] float64, nm, after the last frame.
        velocities: [C,N,3] float64, nm/ps.
        report: seconds it took, versions, failed attempts; the first chunk also knows the starts.
    """

    frames: NDArray[np.int16]
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    report: dict[str, Any]


def groups_of(config: GenerationConfig, system: SystemConfig) -> list[Group]:
    """All trajectories of a system in groups of at most ``copies``, as equal as can be."""
    number = -(-config.trajectories // config.copies)
    ends = [config.trajectories * k // number for k in range(number + 1)]
    return [Group(system, k, first, last) for k, (first, last) in enumerate(pairwise(ends))]


def make_chunk(
    config: GenerationConfig, group: Group, number: int, folder: Path, on_frame: Callable[[int], None]
) -> None:
    """Make a chunk and write it. ``on_frame`` is called with the frames that are new; its exceptions end the work.

    A chunk that fails is tried again with other random numbers.

    Raises:
        InputError: the molecule cannot be used, or the chunk before this one is damaged.
        RunError: every attempt failed, or no start was found.
        OSError: a file cannot be written.
    """
    began = time.monotonic()
    starts: list[str] = []
    peptide, copies = _copies(config, group.system, group.size)
    copies.prepare()  # what fails here fails before the work of finding starts, and would at every attempt
    velocities: NDArray[np.float64] | None = None
    if number == 0:
        positions, starts = _begin(config, group, folder, on_frame)
    else:
        before = read_chunk(group.path(folder, number - 1))
        positions, velocities = before.positions, before.velocities
    failures: list[str] = []
    while True:
        entropy = [config.seed, *group.system.folder.encode(), 2**31 + group.number, number, len(failures)]
        # OpenMM takes 0 for "any seed".
        seed = 1 + int(np.random.SeedSequence(entropy).generate_state(1)[0]) % (2**31 - 1)
        try:
            copies.start(positions, velocities, seed)
            frames = _frames(config, copies, peptide, number == 0, on_frame)
            break
        except RunError as error:
            failures.append(str(error))
            _LOG.warning("%s: chunk %d of group %d: %s", group.system.folder, number, group.number, error)
            if len(failures) == _ATTEMPTS:
                raise RunError(
                    f"{group.system.folder}: {error} in {_ATTEMPTS} attempts near "
                    f"{number * config.chunk:g} ps; use a shorter dynamics.time_step"
                ) from error
    report = {
        "seconds": round(time.monotonic() - began, 3),
        "versions": {**package_versions(), "mdtraj": version("mdtraj"), "torch": version("torch")},
        "failures": failures,
        "starts": starts,
    }
    write_chunk(Chunk(frames, copies.positions(), copies.velocities(), report), group.path(folder, number))


@lru_cache(maxsize=8)
def _copies(config: GenerationConfig, system: SystemConfig, number: int) -> tuple[Peptide, Copies | CompiledCopies]:
    """Kept, as the next chunk often has the same and making them takes seconds; ``start`` leaves nothing behind."""
    peptide = molecule(system)
    return peptide, side_by_side(peptide, number, config)


def _begin(
    config: GenerationConfig, group: Group, folder: Path, on_frame: Callable[[int], None]
) -> tuple[NDArray[np.float64], list[str]]:
    """Starts of a group, centred; the first start of a system is kept as ``start.pdb``."""
    found = []
    for trajectory in range(group.first, group.last):
        on_frame(0)
        found.append(start(config, group.system, trajectory))
    peptide = found[0][0]
    if group.number == 0:
        _write_pdb(peptide, folder / group.system.folder / "start.pdb", keep_numbers=group.system.pdb is not None)
    positions = np.array([peptide.positions for peptide, _ in found]) * NM_PER_ANGSTROM
    return positions - positions.mean(axis=1, keepdims=True), [words for _, words in found]


def _frames(
    config: GenerationConfig,
    copies: Copies | CompiledCopies,
    peptide: Peptide,
    equilibrate: bool,
    on_frame: Callable[[int], None],
) -> NDArray[np.int16]:
    heavy = [atom.index for atom in peptide.topology.atoms() if atom.element.symbol != "H"]
    if equilibrate:
        left = round(1e3 * config.equilibration / config.dynamics.time_step)
        while left > 0:
            copies.run(min(left, config.steps_per_frame))
            left -= config.steps_per_frame
            on_frame(0)
    frames = []
    for _ in range(config.frames_per_chunk):
        rounded = np.rint(copies.run(config.steps_per_frame)[:, heavy] * PICOMETRES_PER_NM)
        largest = np.iinfo(np.int16).max
        if np.abs(rounded).max() > largest:
            raise RunError(f"an atom is more than {largest / PICOMETRES_PER_NM:.1f} nm from the centre of the molecule")
        frames.append(rounded.astype(np.int16))
        on_frame(len(rounded))
    return np.array(frames)


def _write_pdb(peptide: Peptide, path: Path, keep_numbers: bool) -> None:
    from openmm import unit
    from openmm.app import PDBFile

    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        PDBFile.writeFile(peptide.topology, peptide.positions * unit.angstrom, stream, keepIds=keep_numbers)


def write_chunk(chunk: Chunk, path: Path) -> None:
    """Write an npz file, whole or not at all."""
    write_npz(chunk, path)


def read_chunk(path: Path) -> Chunk:
    """The content of a file of `write_chunk`. No pickle is loaded.

    Raises:
        DataError: missing or damaged.
    """
    hint = "delete it, those after it and the system.json of the system and run again"
    return read_npz(Chunk, path, hint)
