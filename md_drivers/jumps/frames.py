"""Frames on disk: one trajectory for each replica and one table, which can be cut back to a saved state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

from md_drivers.common.trajectory_files import (
    cut_files,
    dcd_header_size,
    read_frames,
    set_dcd_frames,
    synced_sizes,
)
from md_drivers.jumps.settings import RolloutSettings
from mlff.proteins.validity import FrameGeometry
from mlff.support.folders import temporary_beside
from mlff.support.units import ANGSTROM_PER_NM
from mlff.support.xtc import not_whole, write_xtc

TABLE = "frames.csv"
_UNITS = {"bond_error": "A", "angle_error": "deg", "overlap": "A", "gyration": "A"}
_GEOMETRY = tuple(field.name for field in fields(FrameGeometry) if field.name != "valid")
# ``FrameGeometry`` explains the columns of the geometry.
_COLUMNS = ("replica", "step", "time_ps", "valid", *_GEOMETRY, "gyration")
_HEADER = ",".join(f"{name}_{_UNITS[name]}" if name in _UNITS else name for name in _COLUMNS)


class FrameFiles:
    """Appends frames to ``replica_*.xtc`` (or ``.dcd``) and rows to ``frames.csv``, in whole blocks.

    Args:
        folder: with the files.
        atoms: of a frame.
        settings: of the rollout.
    """

    def __init__(self, folder: Path, atoms: int, settings: RolloutSettings) -> None:
        self._folder, self._atoms, self._format, self._lag = folder, atoms, settings.trajectory_format, settings.lag
        digits = max(3, len(str(settings.replicas - 1)))
        self.trajectories = [folder / f"replica_{r:0{digits}d}.{self._format}" for r in range(settings.replicas)]
        self.table = folder / TABLE

    def create(self) -> None:
        """Begin all files anew; a trajectory appears with its first frame."""
        for path in self.trajectories:
            path.unlink(missing_ok=True)
        self.table.write_text(_HEADER + "\n", encoding="utf-8")

    def add(self, replica: int, steps: np.ndarray, atoms: np.ndarray) -> None:
        """Append frames [F,M,3] in Å of consecutive steps [F], counted from 1, to the trajectory of a replica."""
        path = self.trajectories[replica]
        before = path.stat().st_size if path.exists() else 0
        data = self._encoded(steps, atoms)
        if before and self._format == "dcd":
            data = data[dcd_header_size(data) :]
        with open(path, "ab") as file:
            file.write(data)
        if self._format == "dcd":
            set_dcd_frames(path, int(steps[-1]), int(steps[-1]))

    def add_rows(self, replicas: np.ndarray, steps: np.ndarray, geometry: FrameGeometry, gyration: np.ndarray) -> None:
        """Append rows of the table, all arguments [rows]."""
        columns = [replicas, steps, steps * self._lag, geometry.valid.astype(int)]
        columns += [getattr(geometry, name) for name in _GEOMETRY] + [gyration]
        formats = ["%.6g" if column.dtype.kind == "f" else "%d" for column in columns]
        with open(self.table, "ab") as file:
            np.savetxt(file, np.column_stack(columns), fmt=formats, delimiter=",")

    def sizes(self) -> dict[str, int]:
        """Bytes of the files by name, brought to the disk first, so that no saved state is ahead of them."""
        return synced_sizes((self.table, *self.trajectories))

    def cut_back(self, sizes: Mapping[str, int], frames: np.ndarray) -> None:
        """Take away what came after a saved state, when the trajectories had so many frames [R].

        Raises:
            StructureError: a file is gone or shorter than it was then; nothing was changed.
        """
        cut_files(self._folder, sizes, "the state was saved")
        for path, count in zip(self.trajectories, frames.tolist(), strict=True):
            if path.name not in sizes:
                path.unlink(missing_ok=True)
            elif self._format == "dcd":
                set_dcd_frames(path, count, count)

    def read(self) -> Iterator[np.ndarray]:
        """Frames [F,M,3] in Å, float32, of all trajectories, a part of a file at a time."""
        for path in self.trajectories:
            if path.exists():
                yield from read_frames(path, self._atoms)

    def _encoded(self, steps: np.ndarray, atoms: np.ndarray) -> bytes:
        """The frames as a file of their own; frames of XTC files simply follow each other."""
        from mdtraj.formats import DCDTrajectoryFile

        temporary = temporary_beside(self._folder / "frames")
        try:
            if self._format == "xtc":
                write_xtc(temporary, atoms / ANGSTROM_PER_NM, steps * self._lag, steps)
                return temporary.read_bytes()
            with DCDTrajectoryFile(str(temporary), "w") as file:
                file.write(atoms.astype(np.float32))
            data = temporary.read_bytes()
            if len(data) != dcd_header_size(data) + 3 * len(atoms) * (4 * self._atoms + 8):
                raise not_whole(temporary)
            return data
        except TypeError as error:  # of MDTraj, which stumbles over its own message where the disk is full
            raise not_whole(temporary) from error
        finally:
            temporary.unlink(missing_ok=True)
