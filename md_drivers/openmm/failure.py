"""What a force leaves behind when it cannot go on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from md_drivers.openmm.region import Region
from mlff.support.files import replacing


@dataclass(frozen=True)
class Snapshot:
    """Atoms of a force at one evaluation: positions [N, 3] and cell [3, 3] (zeros: none) in A, time in ps."""

    positions: np.ndarray
    cell: np.ndarray
    step: int
    time: float

    def atoms(self, numbers: Sequence[int]) -> Atoms:
        """The frame for a file."""
        frame = Atoms(numbers=numbers, positions=self.positions, cell=self.cell, pbc=bool(self.cell.any()))
        frame.info.update(step=self.step, time_ps=self.time)
        return frame


def describe_failure(
    quantity: str,
    bad: np.ndarray,
    now: Snapshot,
    before: Snapshot | None,
    region: Region,
    failure_file: str | os.PathLike[str],
) -> str:
    """Write the last evaluations to ``failure_file`` (extxyz, A) and say what happened.

    Args:
        quantity: what is not finite.
        bad: indices of the atoms where it is not; empty for the energy.
        now, before: the failed evaluation and the one before.
        region: the atoms.
        failure_file: is replaced.
    """
    where = ""
    if bad.size:
        first = int(bad[0])
        particle = first if region.particles is None else region.particles[first]
        where = f" for atom {particle} ({chemical_symbols[region.numbers[first]]})"
        where += f" and {bad.size - 1} more" if bad.size > 1 else ""
    frames = [snapshot.atoms(region.numbers) for snapshot in (before, now) if snapshot is not None]
    file = Path(failure_file).resolve()
    try:
        with replacing(file) as temporary:
            ase.io.write(temporary, frames, format="extxyz")
        written = f"the positions of the last {len(frames)} evaluation(s) are in {file}"
    except OSError as error:
        written = f"the positions could not be written to {failure_file} ({error})"
    return (
        f"{quantity} not finite (NaN or infinity){where} at step {now.step} ({now.time:.6g} ps); {written}. Atoms may "
        "lie on top of each other or far outside the training data: minimise first, take a smaller time step"
    )
