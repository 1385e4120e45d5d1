"""XTC files. MDTraj and OpenMM, which write them, say nothing where the disk is full, so the frames are counted."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

_HEADER = struct.Struct(">iiif9fi")  # 1995, atoms, step, time, box, atoms
_PACKED = struct.Struct(">f3i3iii")  # precision, smallest and largest integers, index of a table, bytes that follow
_FEW = 9  # atoms; no more are three plain numbers each


def write_xtc(path: Path, frames: np.ndarray, time: np.ndarray, step: np.ndarray | None = None) -> None:
    """Write frames [F, N, 3] in nm at times [F] in ps, with steps [F] (None: counted).

    Raises:
        ImportError: MDTraj is not installed.
        OSError: the file cannot be written whole.
    """
    from mdtraj.formats import XTCTrajectoryFile

    steps: dict[str, Any] = {} if step is None else {"step": step.astype(np.int32)}
    with XTCTrajectoryFile(str(path), "w") as file:
        file.write(frames.astype(np.float32), time=time.astype(np.float32), **steps)
    check_xtc(path, 0, len(frames))


def check_xtc(path: Path, start: int, frames: int) -> None:
    """Make sure that a file holds so many frames from a byte on, and nothing else. Raises OSError: it does not."""
    size, found = path.stat().st_size, 0
    with open(path, "rb") as file:
        while start + _HEADER.size <= size:
            file.seek(start)
            atoms = _HEADER.unpack(file.read(_HEADER.size))[-1]
            if atoms < 0:
                break
            packed = file.read(_PACKED.size) if atoms > _FEW else b""
            length = 12 * atoms
            if len(packed) == _PACKED.size:
                length = _PACKED.size + -4 * (-_PACKED.unpack(packed)[-1] // 4)  # in words of four bytes
            start, found = start + _HEADER.size + length, found + 1
    if start != size or found != frames:
        raise not_whole(path)


def not_whole(path: Path) -> OSError:
    """What to raise where a library did not say why it wrote too little."""
    return OSError(f"{path}: the frames cannot be written; is the disk full?")
