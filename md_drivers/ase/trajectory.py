"""Trajectories that stay readable whatever ends the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ase import Atoms
from ase.io.trajectory import Trajectory

from md_drivers.common.errors import StructureError


def append_frame(path: Path, atoms: Atoms, *, new: bool) -> None:
    """Add a frame with the calculator's stored results to an ASE trajectory; ``new`` begins the file anew.

    The file is opened for each frame, so it is complete between frames, and Ctrl-C waits until the frame is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _interrupts_deferred(), Trajectory(path, "w" if new else "a", atoms) as frames:
        frames.write()


def end_frames(path: Path) -> tuple[Atoms, Atoms] | None:
    """First and last frame of an ASE trajectory, or ``None`` where the file does not exist or has no frames.

    Raises:
        StructureError: the file is damaged or no trajectory.
    """
    if not path.exists():
        return None
    try:
        with Trajectory(path) as frames:
            return (frames[0], frames[-1]) if len(frames) else None
    except Exception as error:  # ASE raises whatever the damaged file led to.
        raise StructureError(f"cannot restart from {str(path)!r}: {error}; remove the file to start anew") from error


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done."""
    previous = signal.getsignal(signal.SIGINT)
    # Signals reach the main thread only; a handler that was not set from Python cannot be put back.
    if previous is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if received and callable(previous):
        previous(*received[0])
