"""Trajectories (DCD, XTC) and tables that grow by appending and can be cut back to where a state was saved."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from md_drivers.common.engine import import_mdtraj
from md_drivers.common.errors import StructureError
from mlff.support.units import ANGSTROM_PER_NM

TrajectoryFormat = Literal["dcd", "xtc"]

_ATOMS_AT_ONCE = 2_000_000  # that are read
# Places in the header of a DCD file, which is three records: little-endian 32-bit integers.
_DCD_FRAMES, _DCD_LAST_STEP = 8, 20
_DCD_RECORDS = 3
_DCD_LONGEST_HEADER = 4096  # bytes; what OpenMM and MDTraj write has 276


def read_frames(path: Path, num_atoms: int, *, boxes: bool = False) -> Iterator[np.ndarray]:
    """Frames [F, N, 3] in A, float32, of a trajectory, a part of the file at a time.

    Args:
        path: ``.xtc``, or a ``.dcd`` as OpenMM and MDTraj write it.
        num_atoms: N, of a frame.
        boxes: the frames of a DCD file have a box.

    Raises:
        ImportError: an XTC file, and MDTraj is not installed.
        OSError: the file cannot be read.
    """
    count = max(1, _ATOMS_AT_ONCE // num_atoms)
    if path.suffix == ".xtc":
        formats = import_mdtraj(f" to read {path.name}", "mdtraj.formats")
        with formats.XTCTrajectoryFile(str(path)) as file:
            while len(xyz := file.read(count)[0]):
                yield ANGSTROM_PER_NM * xyz
        return
    # MDTraj's reader of DCD files talks on standard output.
    axis = np.dtype([("begin", "<i4"), ("values", "<f4", num_atoms), ("end", "<i4")])
    frame = np.dtype([*([("box", "V56")] if boxes else []), ("x", axis), ("y", axis), ("z", axis)])
    with open(path, "rb") as file:
        file.seek(dcd_header_size(file.read(_DCD_LONGEST_HEADER)))
        while len(frames := np.fromfile(file, frame, count)):
            yield np.stack([frames[name]["values"] for name in "xyz"], axis=-1)


def dcd_header_size(data: bytes) -> int:
    """Bytes before the first frame, of a DCD file that begins with ``data``."""
    place = 0
    for _ in range(_DCD_RECORDS):
        place += struct.unpack_from("<i", data, place)[0] + 8
    return place


def set_dcd_frames(path: Path, frames: int, last_step: int) -> None:
    """Let the header of a DCD file say how many frames there are, and the step of the last."""
    with open(path, "r+b") as file:
        for place, value in ((_DCD_FRAMES, frames), (_DCD_LAST_STEP, last_step)):
            file.seek(place)
            file.write(struct.pack("<i", value))


def synced_sizes(paths: Iterable[Path]) -> dict[str, int]:
    """Bytes of the files that exist by name, brought to the disk first, so that no saved state is ahead of them."""
    found = {}
    for path in paths:
        if path.exists():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
            found[path.name] = path.stat().st_size
    return found


def cut_files(folder: Path, sizes: Mapping[str, int], saved: str) -> None:
    """Take from files what came after a state was saved; the header of a DCD file stays.

    Args:
        folder: with the files.
        sizes: bytes of the files then, by name.
        saved: what is gone back to, for messages: "the checkpoint was taken".

    Raises:
        StructureError: a file is gone or shorter than it was; nothing was changed.
    """
    for name, size in sizes.items():
        path = folder / name
        found = path.stat().st_size if path.exists() else 0
        if found < size:
            raise StructureError(
                f"{path}: {found} bytes, but {saved} when it had {size}; put the file back, or start anew in another "
                "folder"
            )
    for name, size in sizes.items():
        os.truncate(folder / name, size)


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file of numbers, by name."""
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    names = header.split(",")
    values = np.loadtxt(rows, delimiter=",", ndmin=2) if rows else np.empty((0, len(names)))
    return dict(zip(names, values.T, strict=True))
