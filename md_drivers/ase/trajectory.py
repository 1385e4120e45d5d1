"""Trajectories that stay readable whatever ends the process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.trajectory import Trajectory

from md_drivers.common.errors import StructureError
from mlff.support.files import replacing
from mlff.support.signals import deferred


def append_frame(path: Path, atoms: Atoms, *, new: bool, about: Mapping[str, Any] | None = None) -> None:
    """Add a frame with the calculator's stored results to an ASE trajectory; ``new`` begins the file anew, with what
    it is ``about``.

    The file appears with its first frame and is opened for each, so it is complete between frames, and signals wait
    until the frame is written.

    Raises:
        OSError: it cannot be written, or has vanished since its first frame.
    """
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        path.stat()  # ASE would begin it anew
    with (
        deferred(),
        replacing(path) if new else nullcontext(path) as file,
        Trajectory(file, "w" if new else "a", atoms) as frames,
    ):
        frames.set_description(dict(about or {}))
        frames.write()


def end_frames(path: Path) -> tuple[Atoms, Atoms, int, dict[str, Any]] | None:
    """First and last frame of an ASE trajectory, how many there are, and what it is about; ``None`` without frames.

    Raises:
        StructureError: the file is damaged or no trajectory.
    """
    if not path.exists():
        return None
    try:
        with Trajectory(path) as frames:
            return (frames[0], frames[-1], len(frames), dict(frames.description or {})) if len(frames) else None
    except Exception as error:  # ASE raises whatever the damaged file led to.
        raise StructureError(f"cannot resume from {str(path)!r}: {error}; remove the file to start anew") from error
