"""Trajectories in memory, of this program or of the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mlff.proteins.integrity import IntegrityCheck
from mlff.proteins.layout import CloudLayout
from mlff.proteins.residues import RESIDUE_NAMES
from mlff.support.errors import DataError
from mlff.support.files import sha256_of
from mlff.support.packages import require_packages
from mlff.support.settings import read_mapping
from mlff.support.units import ANGSTROM_PER_NM
from mlff.trajectories.checks import check_frames
from mlff.trajectories.format import (
    DATASET_FILE,
    SYSTEM_FILE,
    Conditions,
    Split,
    SystemRecord,
    TrajectoryRecord,
    read_record,
)

if TYPE_CHECKING:
    from mdtraj import Topology


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Consecutive frames.

    Attributes:
        name: its file, as the description names it.
        split: train, val or test.
        first: row of its first frame in ``SystemData.atoms``.
        atoms: [F,M,3] float32, Å, heavy atoms in the order of the layout; a view.
    """

    name: str
    split: Split
    first: int
    atoms: Tensor


@dataclass(frozen=True, eq=False)
class SystemData:
    """All trajectories of one molecule under one condition.

    Attributes:
        name: that of its folder or description.
        sequence: three-letter names, joined by ``-``, chains by ``/``.
        split: ``train``, or what the whole sequence is held out for.
        layout: between heavy atoms and tensor clouds.
        conditions: of the dynamics.
        frame_interval: ps.
        atoms: [sum of F,M,3] float32, Å, frames of all trajectories one after the other.
        trajectories: the pieces.
        folder: of its description; caches go there.
    """

    name: str
    sequence: str
    split: Split
    layout: CloudLayout
    conditions: Conditions
    frame_interval: float
    atoms: Tensor
    trajectories: tuple[Trajectory, ...]
    folder: Path

    def stride(self, lag: float) -> int:
        """Frames in a lag of so many ps.

        Raises:
            DataError: not a whole number of frames, or none.
        """
        frames = round(lag / self.frame_interval)
        if frames < 1 or abs(frames * self.frame_interval - lag) > 1e-6 * lag:
            raise DataError(
                f"{self.name}: a lag of {lag:g} ps is no whole number of its frames, which are "
                f"{self.frame_interval:g} ps apart"
            )
        return frames


def load_dataset(source: Path | str | Sequence[Path | str]) -> tuple[SystemData, ...]:
    """Systems of data set folders, of folders of one system, or of descriptions in YAML or JSON (docs/equijump.md).

    Raises:
        DataError: nothing to read, a bad description, a missing, damaged or changed file, a file named more than once,
            a sequence on both sides of a split, or mdtraj is not installed.
        DataError: a topology that is no protein or peptide, a frame that is not this molecule, times that are not
            those of the description, frames that are missing or doubled; file and frame are named.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    files = [file for entry in sources for file in _descriptions(Path(entry))]
    if not files:
        raise DataError("no data: expected at least one folder or description")
    systems = tuple(_load_system(read_record(file), file.parent) for file in files)
    _check_held_out(systems)
    return systems


def _descriptions(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if (source / SYSTEM_FILE).is_file():
        return [source / SYSTEM_FILE]
    if not (source / DATASET_FILE).is_file():
        raise DataError(
            "no data",
            file=source,
            hint=f"expected a folder with {DATASET_FILE} or {SYSTEM_FILE}, as `equijump generate-data` writes it, or a "
            "YAML or JSON file that describes trajectories",
        )
    entries = read_mapping(source / DATASET_FILE, error=DataError).get("systems")
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("name"), str) for e in entries
    ):
        raise DataError("systems: expected a list of entries with a name", file=source / DATASET_FILE)
    return [source / entry["name"] / SYSTEM_FILE for entry in entries]


def _load_system(record: SystemRecord, folder: Path) -> SystemData:
    require_packages("equijump", "mdtraj")
    import mdtraj

    path = folder / record.topology
    try:
        topology = mdtraj.load_topology(str(path))
    except Exception as error:  # readers of many formats raise many kinds
        raise DataError(f"not a readable topology ({str(error) or type(error).__name__})", file=path) from error
    chosen = _selected(topology, record.atoms, path)
    try:
        layout = CloudLayout.of(topology.subset(chosen))
    except DataError as error:
        raise DataError(error.reason, file=path, hint=error.hint) from error
    heavy = chosen[layout.heavy_atoms.numpy()]
    check, interval = IntegrityCheck(layout), None if record.ignore_times else record.frame_interval
    pieces = [_frames(folder / e.file, e, topology, heavy, check, interval) for e in record.trajectories]
    first = np.cumsum([0, *map(len, pieces)]).tolist()
    atoms = torch.cat(pieces)
    trajectories = tuple(
        Trajectory(str(entry.file), entry.split or record.split, begin, atoms[begin:end])
        for entry, begin, end in zip(record.trajectories, first[:-1], first[1:], strict=True)
    )
    return SystemData(
        name=record.name,
        sequence=sequence_of(layout),
        split=record.split,
        layout=layout,
        conditions=record.conditions,
        frame_interval=record.frame_interval,
        atoms=atoms,
        trajectories=trajectories,
        folder=folder,
    )


def sequence_of(layout: CloudLayout) -> str:
    """Three-letter names, joined by ``-`` within a chain and by ``/`` between chains."""
    chains: dict[int, list[str]] = {}
    for chain, token in zip(layout.chains.tolist(), layout.residues.tolist(), strict=True):
        chains.setdefault(chain, []).append(RESIDUE_NAMES[token])
    return "/".join("-".join(names) for names in chains.values())


def _selected(topology: Topology, selection: str | None, path: Path) -> np.ndarray:
    if selection is None:
        return np.arange(topology.n_atoms)
    try:
        chosen = np.asarray(topology.select(selection))
    except Exception as error:  # the parser of selections raises kinds of its own
        reason = f"atoms: {selection!r} is no selection that MDTraj understands, such as 'protein'"
        raise DataError(reason, file=path) from error
    if not len(chosen):
        raise DataError(f"atoms: {selection!r} selects nothing", file=path)
    return chosen


def _frames(
    path: Path,
    entry: TrajectoryRecord,
    topology: Topology,
    heavy: np.ndarray,
    check: IntegrityCheck,
    interval: float | None,
) -> Tensor:
    """[F,M,3] float32, Å."""
    import mdtraj

    # Before the frames: if the file is replaced in between, they are more than the record tells.
    found = sha256_of(path) if entry.sha256 is not None and path.is_file() else None
    try:
        if path.suffix.lower() == ".gro":  # whose single frames MDTraj does not read
            trajectory = mdtraj.load(str(path), top=topology).atom_slice(heavy)
        else:
            # With indices MDTraj takes them from a file of any molecule; without, it compares the number of atoms.
            mdtraj.load_frame(str(path), 0, top=topology)
            trajectory = mdtraj.load(str(path), top=topology, atom_indices=heavy)
    except Exception as error:  # as above
        reason = f"not a readable trajectory of this topology ({str(error) or type(error).__name__})"
        raise DataError(reason, file=path) from error
    expected = entry.frames or 1
    if trajectory.n_frames < expected:
        raise DataError(f"holds {trajectory.n_frames} frames, expected {expected}", file=path)
    # A file may have grown since its description was written; only then it may be another one.
    if entry.sha256 is not None and found != entry.sha256.lower() and entry.frames in (None, trajectory.n_frames):
        raise DataError(
            f"is not the file that its description was written for (sha256 {found}, expected {entry.sha256})",
            file=path,
            hint="restore the file, or take sha256 out of the description if it was changed on purpose",
        )
    if entry.frames is not None:
        trajectory = trajectory[: entry.frames]
    atoms: np.ndarray = trajectory.xyz * np.float32(ANGSTROM_PER_NM)
    check_frames(path, trajectory, atoms, check, interval)
    return torch.from_numpy(atoms)


def _check_held_out(systems: Sequence[SystemData]) -> None:
    split: dict[str, SystemData] = {}
    files: dict[Path, SystemData] = {}
    for system in systems:
        other = split.setdefault(system.sequence, system)
        if other.split != system.split:
            raise DataError(
                f"{system.sequence} is held out as {system.split!r} in {system.folder} but is {other.split!r} in "
                f"{other.folder}; a sequence belongs to one split"
            )
        for trajectory in system.trajectories:
            file = (system.folder / trajectory.name).resolve()
            if file in files:
                raise DataError(
                    f"{file} is read more than once, for {files[file].name} in {files[file].folder} and for "
                    f"{system.name} in {system.folder}; name each file, description and folder once"
                )
            files[file] = system
