"""Frames of a file against their description: one whole molecule at the stated times, each frame once."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlff.proteins.integrity import IntegrityCheck
from mlff.proteins.layout import CloudLayout
from mlff.proteins.residues import ANCHOR
from mlff.support.errors import DataError
from mlff.support.units import ANGSTROM_PER_NM

if TYPE_CHECKING:
    from mdtraj import Trajectory

#: Files that hold times, in ps. In others MDTraj counts the frames.
WITH_TIMES = (".xtc", ".trr", ".nc", ".netcdf", ".ncdf", ".h5", ".hdf5", ".dtr", ".gro")

_SAME = 0.01  # of an interval
# Header of a DCD file: a record of 84 bytes with CORD, the steps between frames, the time step (a float in files of
# CHARMM's kind, whose version is not zero, otherwise a double), then titles.
_DCD_BEGIN, _DCD_STRIDE, _DCD_STEP, _DCD_VERSION, _DCD_TITLES = struct.pack("<i4s", 84, b"CORD"), 16, 44, 84, 512
_AKMA = 0.04888821  # ps, unit of time of CHARMM, in which OpenMM, NAMD and CHARMM write DCD files


def check_frames(
    path: Path, trajectory: Trajectory, atoms: NDArray[np.float32], check: IntegrityCheck, interval: float | None
) -> None:
    """Make sure that the frames of a file can be learned from.

    Args:
        path: of the file.
        trajectory: as it was read; times and box count.
        atoms: [F,M,3] in Å, heavy atoms.
        check: of the molecule.
        interval: ps between frames; None: the times in the file do not count.

    Raises:
        DataError: naming file, frame, residue and atoms.
    """
    try:
        times = None if interval is None else stated_times(path, trajectory)
        if interval is not None and times is not None:
            check_times(times, interval)
        check(atoms)
        check_images(trajectory, atoms, check.layout)
        check_repeats(atoms)
    except DataError as error:
        raise DataError(error.reason, file=path, frame=error.frame, hint=error.hint) from error


def stated_times(path: Path, trajectory: Trajectory) -> NDArray[np.float64] | None:
    """[F] in ps, when frames were taken by what their file says; None where it does not say."""
    suffix = path.suffix.lower()
    if suffix in WITH_TIMES:
        times = np.asarray(trajectory.time, dtype=np.float64)
        counted = suffix == ".gro" and np.array_equal(times, np.arange(len(times)))  # by MDTraj, for want of times
        return times if times.any() and not counted else None
    interval = _dcd_interval(path) if suffix == ".dcd" else None
    return None if interval is None else interval * np.arange(trajectory.n_frames)


def check_times(times: NDArray[np.float64], interval: float) -> None:
    """Make sure that frames are so many ps apart.

    Raises:
        DataError: another interval, frames that are missing, doubled or out of order; the first one is named.
    """
    steps = np.diff(times)
    # Of times in single precision, as most files have them.
    slack = _SAME * interval + 2.0 * float(np.spacing(np.float32(np.abs(times).max(initial=0.0))))
    wrong = np.flatnonzero(~(np.abs(steps - interval) <= slack))
    if not len(wrong):
        return
    typical = float(np.median(steps))
    hint = "correct frame_interval, or say ignore_times: true if it is the times in the file that are wrong"
    first, step = int(wrong[0]), float(steps[wrong[0]])
    if not abs(typical - interval) <= slack:
        reason = f"frames are {typical:g} ps apart by the times in the file, but the description says {interval:g} ps"
        raise DataError(reason, frame=first + 1, hint=hint)
    if abs(step) <= slack:
        reason = f"has the time of frame {first} ({times[first]:g} ps): one of them is doubled"
    elif step > 0:
        reason = f"is {step:g} ps after frame {first}, not {interval:g} ps: there is a gap"
    else:
        reason = f"has an earlier time ({times[first + 1]:g} ps) than frame {first} ({times[first]:g} ps): frames are "
        reason += "doubled or out of order"
    more = f" ({len(wrong)} such places, before frames {', '.join(map(str, wrong[:5] + 1))}" if len(wrong) > 1 else ""
    more += (", …)" if len(wrong) > 5 else ")") if more else ""
    hint = "leave out frames that are doubled, and make what lies on each side of a gap a trajectory of its own"
    raise DataError(reason + more, frame=first + 1, hint=hint)


def check_repeats(atoms: NDArray[np.float32]) -> None:
    """Make sure that no frame [F,M,3] comes twice, which thermal motion makes impossible.

    Raises:
        DataError: naming both frames.
    """
    seen: dict[int, int] = {}
    for frame, positions in enumerate(atoms):
        earlier = seen.setdefault(hash(positions.tobytes()), frame)
        if earlier != frame and np.array_equal(atoms[earlier], positions):
            hint = "leave out frames that are doubled, as after a restart"
            raise DataError(f"is frame {earlier} once more, to the last digit", frame=frame, hint=hint)


def check_images(trajectory: Trajectory, atoms: NDArray[np.float32], layout: CloudLayout) -> None:
    """Make sure that no chain goes to another image of a periodic box, as seen from the first one.

    Args:
        trajectory: of the atoms, whose box counts.
        atoms: [F,M,3] in Å, heavy atoms.
        layout: of these.

    Raises:
        DataError: naming the frame and a residue of the chain.
    """
    chains, first = np.unique(layout.chains.numpy(), return_index=True)
    if trajectory.unitcell_lengths is None or len(chains) == 1:
        return
    anchors = layout.channels[:, ANCHOR].numpy()
    centres = np.stack([atoms[:, anchors[layout.chains.numpy() == chain]].mean(1) for chain in chains], axis=1)
    moved = np.linalg.norm(np.diff(centres - centres[:, :1], axis=0), axis=-1)
    reach = 0.5 * ANGSTROM_PER_NM * trajectory.unitcell_lengths.min(-1)[1 : len(atoms), None]
    if (moved > reach).any():
        frame, chain = np.argwhere(moved > reach)[0]
        raise DataError(
            f"the chain of {layout.labels[first[chain]]} is {moved[frame, chain]:.1f} Å from where it was in the frame "
            "before, as seen from the first chain: it went to another image of the periodic box",
            frame=int(frame) + 1,
            hint="keep the chains together (MDTraj: image_molecules, GROMACS: trjconv -pbc nojump)",
        )


def _dcd_interval(path: Path) -> float | None:
    """ps between the frames of a DCD file; None where its header has but the placeholder of MDTraj and VMD.

    LAMMPS writes the time step in a unit that the file does not tell.
    """
    with open(path, "rb") as file:
        header = file.read(_DCD_TITLES)
    if len(header) < _DCD_VERSION + 4 or not header.startswith(_DCD_BEGIN) or b"LAMMPS" in header:
        return None
    stride, version = (struct.unpack_from("<i", header, place)[0] for place in (_DCD_STRIDE, _DCD_VERSION))
    (step,) = struct.unpack_from("<f" if version else "<d", header, _DCD_STEP)
    interval = _AKMA * stride * step
    return interval if np.isfinite(interval) and interval > 0 and (stride, step) != (1, 1.0) else None
