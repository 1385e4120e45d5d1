"""One iterator per file format; each yields (frame index, structure with labels) in the units of the file."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io.extxyz import key_val_str_to_dict, read_xyz
from ase.io.trajectory import Trajectory

from mlff.data.label_config import DataKeys
from mlff.graph import quantity
from mlff.support.errors import DataError

_VOIGT = re.compile(r"""(?<![\w-])((?:stress|virial)\s*=\s*)"\s*([^\s"]+(?:\s+[^\s"]+){5})\s*\"""")
_NPZ_NAMES = {"energy": ("energies", "E"), "forces": ("forces", "F")}
_AGAIN = "write or download it again"


def iter_extxyz(path: Path) -> Iterator[tuple[int, Atoms]]:
    """Frames of an extended XYZ file, plain or gzip-compressed.

    Frames are cut out here and parsed one by one by ASE, so that errors carry the frame index and neither a truncated
    frame nor a blank line between frames loses data silently.

    Raises:
        DataError: unreadable, truncated or malformed.
    """
    # Not str.splitlines, which also cuts at form feeds and the like.
    lines = io.StringIO(_text(path), newline=None).readlines()
    position, index = 0, 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        try:
            natoms = int(lines[position])
            if natoms < 0:
                raise ValueError
        except ValueError:
            raise DataError(
                f"line {position + 1}: expected the number of atoms, found {lines[position].strip()[:40]!r}",
                file=path,
                frame=index,
                hint="the frame before has more lines than it announces, or the file is not extxyz",
            ) from None
        end = position + 2 + natoms
        if end > len(lines):
            raise DataError(
                f"truncated: {max(len(lines) - position - 2, 0)} of {natoms} atoms", file=path, frame=index, hint=_AGAIN
            )
        while end < len(lines) and lines[end].lstrip().startswith("VEC"):
            end += 1
        try:
            # A frame of no atoms is left to the validation, which names it.
            yield index, next(read_xyz(io.StringIO("".join(lines[position:end])), slice(0, 1), _comment))
        except Exception as error:  # whatever a parser raises on malformed text
            raise DataError(
                f"line {position + 1} and following: cannot be parsed as extxyz ({_describe(error)})",
                file=path,
                frame=index,
                hint="check the number and type of the columns, and the values of the second line",
            ) from error
        position, index = end, index + 1


def _comment(line: str) -> dict[str, Any]:
    """The second line of a frame; a stress or virial of six numbers (Voigt) becomes the matrix that ASE insists on."""
    return key_val_str_to_dict(_VOIGT.sub(lambda match: f'{match[1]}"{_matrix(match[2])}"', line))


def _matrix(numbers: str) -> str:
    xx, yy, zz, yz, xz, xy = numbers.split()
    return f"{xx} {xy} {xz} {xy} {yy} {yz} {xz} {yz} {zz}"


def iter_traj(path: Path) -> Iterator[tuple[int, Atoms]]:
    """Frames of an ASE trajectory.

    Raises:
        DataError: unreadable or truncated.
    """
    with _reading("not a readable ASE trajectory", path):
        trajectory = Trajectory(str(path), "r")
    with trajectory:
        for index in range(len(trajectory)):
            with _reading("unreadable", path, index):
                atoms = trajectory[index]
            yield index, atoms


def iter_db(path: Path) -> Iterator[tuple[int, Atoms]]:
    """Rows of an ASE SQLite database in order of their id; the frame index counts rows from 0.

    Raises:
        DataError: unreadable.
    """
    with (
        _reading("not a readable ASE database", path),
        connect(str(path), type="db", use_lock_file=False) as database,
    ):
        for index, row in enumerate(database.select(sort="id")):
            yield index, row.toatoms(add_additional_information=True)


def iter_npz(path: Path, keys: DataKeys) -> Iterator[tuple[int, Atoms]]:
    """Frames of an npz file of one molecule: rMD17 names (nuclear_charges [N], coords [M,N,3], energies [M],
    forces [M,N,3]) or MD17 names (z, R, E, F). No pickles are loaded.

    Raises:
        DataError: unreadable, arrays missing or of shapes that do not agree, or a lattice, which the layout lacks.
    """
    with _reading("not a readable npz file", path), np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    lattice = {"cell", "lattice", "pbc"} & {name.lower() for name in arrays}
    if lattice:
        raise DataError(
            f"holds {', '.join(sorted(lattice))}: periodic npz files are not supported", file=path, hint="use extxyz"
        )
    numbers = _pick(arrays, ("nuclear_charges", "z"), path)
    positions = _pick(arrays, ("coords", "R"), path)
    count = len(positions) if positions.ndim else 0
    shape = (count, numbers.shape[-1] if numbers.ndim else 0, 3)
    if positions.shape != shape:
        message = f"coordinates have shape {positions.shape}, expected {shape}"
        raise DataError(message, file=path, hint="check the layout")
    labels = {}
    for name, key in keys.named().items():
        row = quantity(name)
        labels[key] = _pick(arrays, (key, *_NPZ_NAMES.get(name, ())), path)
        wanted = (*shape[: 2 if row.per == "atom" else 1], *row.shape)
        if labels[key].size == count and wanted == (count,):
            labels[key] = labels[key].reshape(count)
        if labels[key].shape != wanted:
            message = f"{name} have shape {labels[key].shape}, expected {wanted}"
            raise DataError(message, file=path, hint="check the layout")
    if numbers.shape not in (shape[1:2], shape[:2]) or numbers.dtype.kind not in "iu":
        raise DataError(f"nuclear charges have shape {numbers.shape} and type {numbers.dtype}", file=path)
    per_frame = np.broadcast_to(numbers, shape[:2])
    for index in range(count):
        atoms = Atoms(numbers=per_frame[index].astype(int), positions=positions[index])
        atoms.calc = SinglePointCalculator(atoms)
        # Filled directly: keys may be names that ASE's calculator does not list.
        atoms.calc.results.update({key: values[index] for key, values in labels.items()})
        yield index, atoms


def _pick(arrays: dict[str, np.ndarray], names: tuple[str, ...], path: Path) -> np.ndarray:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise DataError(
        f"no array named {' or '.join(dict.fromkeys(names))}", file=path, hint=f"available: {', '.join(sorted(arrays))}"
    )


def _text(path: Path) -> str:
    with _reading("unreadable, truncated or damaged", path):
        raw = path.read_bytes()
        # By content, so that a compressed file with a plain suffix still reads.
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")


@contextmanager
def _reading(fault: str, path: Path, frame: int | None = None) -> Iterator[None]:
    """Say of whatever parsers raise on damaged files, which is of many kinds, what it means."""
    try:
        yield
    except Exception as error:
        raise DataError(f"{fault} ({_describe(error)})", file=path, frame=frame, hint=_AGAIN) from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
