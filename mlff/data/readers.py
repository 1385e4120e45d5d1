"""Reading labelled frames from files."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mlff.data.config import DataConfig, FileFormat
from mlff.data.formats import iter_db, iter_npz, iter_traj
from mlff.data.frame import PARTLY_FIXED, Frame
from mlff.data.label_config import DataKeys, DataUnits
from mlff.data.labels import build_frame, read_energy
from mlff.structures import iter_extxyz
from mlff.support.errors import DataError

_LOG = logging.getLogger(__name__)

_SUFFIXES: dict[str, FileFormat] = {
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".extxyz.gz": "extxyz",
    ".xyz.gz": "extxyz",
    ".traj": "traj",
    ".db": "db",
    ".npz": "npz",
}


def detect_format(path: Path) -> FileFormat:
    """File format by suffix.

    Raises:
        DataError: the suffix is not known.
    """
    name = path.name.lower()
    for suffix, file_format in _SUFFIXES.items():
        if name.endswith(suffix):
            return file_format
    raise DataError(
        "unknown file suffix", file=path, hint=f"known: {', '.join(_SUFFIXES)}; or name the `format` of the file"
    )


def read_frames(
    paths: Path | str | Sequence[Path | str],
    *,
    keys: DataKeys | None = None,
    units: DataUnits | None = None,
    format: FileFormat = "auto",
    group_by: str | None = None,
    species: Iterable[int] | None = None,
    optional: Collection[str] = (),
) -> list[Frame]:
    """All frames of one or many files, in order, in eV and A.

    Args:
        paths: extxyz (plain or .gz), ASE .traj or .db, npz in the rMD17 or MD17 layout.
        keys: names of the labels.
        units: units of the files; npz files need `units.energy`.
        format: overrides the suffix.
        group_by: 'composition', 'file' or an info key; fills `Frame.group`.
        species: atomic numbers allowed; None allows every element.
        optional: quantities that frames may lack; npz files may not.

    Raises:
        DataError: a file is missing, empty, truncated, of unknown suffix, or a frame is malformed.
    """
    keys, units = keys or DataKeys(), units or DataUnits()
    allowed = None if species is None else tuple(species)
    frames: list[Frame] = []
    for path in [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]:
        before = len(frames)
        for index, atoms in _iter_atoms(path, format, keys, units):
            frame = build_frame(
                *(atoms, path, index), keys=keys, units=units, group_by=group_by, species=allowed, optional=optional
            )
            frames.append(frame)
        _LOG.info("read %d frames from %s", len(frames) - before, path)
        partly = [frame.index for frame in frames[before:] if np.any(frame.atoms.arrays.get(PARTLY_FIXED))]
        if partly:
            _LOG.warning(
                "%s: in %d frames, first in frame %d, forces are zero where constraints hold atoms in some directions; "
                "the forces on these atoms are no labels (`loss.fixed_atoms`)",
                *(path, len(partly), partly[0]),
            )
    return frames


def read_isolated_atoms(
    path: Path | str, *, keys: DataKeys | None = None, units: DataUnits | None = None, format: FileFormat = "auto"
) -> dict[int, float]:
    """Energies (eV) of isolated atoms by atomic number, from a file of one-atom frames. Forces are not needed.

    Raises:
        DataError: as `read_frames`; also where a frame holds more than one atom or an element comes twice with
            different energies.
    """
    keys, units, path = keys or DataKeys(), units or DataUnits(), Path(path)
    energies: dict[int, float] = {}
    for index, atoms in _iter_atoms(path, format, keys, units):
        frame = Frame(atoms, {}, None, path, index)
        if len(atoms) != 1:
            raise frame.error(f"{len(atoms)} atoms where one isolated atom is expected", "remove it")
        number, energy = int(atoms.numbers[0]), read_energy(frame, keys, units)
        if abs(energies.setdefault(number, energy) - energy) > 1e-6:
            raise frame.error(f"second energy for atomic number {number}", "keep one")
    return energies


def reference_energies(config: DataConfig) -> dict[int, float] | None:
    """Isolated-atom energies (eV by atomic number) that a configuration gives, or None."""
    if config.isolated_atoms is not None:
        return read_isolated_atoms(config.isolated_atoms, keys=config.keys, units=config.units)
    if config.reference_energies is not None:
        return {atomic_numbers[symbol]: energy for symbol, energy in config.reference_energies.items()}
    return None


def _iter_atoms(path: Path, file_format: FileFormat, keys: DataKeys, units: DataUnits) -> Iterator[tuple[int, Atoms]]:
    """Numbered structures of a file, in the units of the file; at least one."""
    if not path.is_file():
        raise DataError("no such file" if not path.exists() else "is not a file", file=path, hint="check the path")
    if path.stat().st_size == 0:
        raise DataError("the file is empty", file=path, hint="write or download it again")
    resolved = detect_format(path) if file_format == "auto" else file_format
    if resolved == "npz" and units.energy is None:
        raise DataError("npz files carry no units", file=path, hint="set `units.energy` (rMD17 and MD17: kcal/mol)")
    if resolved == "npz":
        source = iter_npz(path, keys)
    elif resolved == "extxyz":
        source = iter_extxyz(path, asked=set(keys.named().values()))
    else:
        source = {"traj": iter_traj, "db": iter_db}[resolved](path)
    empty = True
    for index, atoms in source:
        empty = False
        yield index, atoms
    if empty:
        raise DataError("the file holds no frames", file=path, hint="write or download it again")
