"""The saved state of a rollout: one file, complete or absent, from which it goes on exactly."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from md_drivers.common.errors import StructureError
from mlff.support.files import replacing
from mlff.support.npz import read_arrays

#: Counted over all frames of all replicas.
COUNTS = ("frames", "valid", "bond_outliers", "angle_outliers", "overlaps", "inverted")


@dataclass
class State:
    """A rollout between two jumps.

    Attributes:
        step: jumps that all replicas have made or tried.
        coordinates: [R,N,3,C] in Å, float64, which holds those of a float32 model exactly.
        stopped: [R] int64, the step that a replica failed at; -1 for those that go on.
        counts: by the names in ``COUNTS``.
        seconds: of wall time, all sessions together.
        sizes: bytes of the files of frames, by name.
    """

    step: int
    coordinates: np.ndarray
    stopped: np.ndarray
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    seconds: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def running(self) -> np.ndarray:
        """Numbers of the replicas that go on."""
        return np.flatnonzero(self.stopped < 0)

    @property
    def frames(self) -> np.ndarray:
        """[R], frames of each replica."""
        return np.where(self.stopped < 0, self.step, self.stopped - 1)

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        about = json.dumps({"counts": self.counts, "seconds": self.seconds, "sizes": self.sizes})
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, step=self.step, coordinates=self.coordinates, stopped=self.stopped, about=about)

    @staticmethod
    def read(path: Path, shape: tuple[int, ...]) -> State:
        """From a file of :meth:`write`, with coordinates of this shape.

        Raises:
            StructureError: the file is damaged or something else.
        """
        try:
            content = read_arrays(path)
            about = json.loads(str(content["about"]))
            state = State(
                step=int(content["step"]),
                coordinates=content["coordinates"],
                stopped=content["stopped"],
                counts={name: int(about["counts"][name]) for name in COUNTS},
                seconds=float(about["seconds"]),
                sizes={str(name): int(size) for name, size in about["sizes"].items()},
            )
            if state.coordinates.shape != shape or state.stopped.shape != shape[:1]:
                raise ValueError(f"coordinates of shape {list(state.coordinates.shape)}, expected {list(shape)}")
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
            raise StructureError(f"{path}: no state of this rollout, or a damaged one ({error}); start anew") from error
        return state
