"""One iterator per file format; each yields (frame index, structure with labels) in the units of the file.

That of extended XYZ is :func:`mlff.structures.iter_extxyz`, which the drivers share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io.trajectory import Trajectory

from mlff.data.label_config import DataKeys
from mlff.graph import quantity
from mlff.support.errors import DataError
from mlff.support.npz import read_arrays

_NUMBERS, _POSITIONS = ("nuclear_charges", "z"), ("coords", "R")
_NPZ_NAMES = {"energy": ("energies", "E"), "forces": ("forces", "F")}
_AGAIN = "write or download it again"


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
    aliases = {key: (key, *_NPZ_NAMES.get(name, ())) for name, key in keys.named().items()}
    needed = {*_NUMBERS, *_POSITIONS, *(name for several in aliases.values() for name in several)}
    with _reading("not a readable npz file", path):
        arrays = read_arrays(path, needed)
    lattice = {"cell", "lattice", "pbc"} & {name.lower() for name in arrays}
    if lattice:
        raise DataError(
            f"holds {', '.join(sorted(lattice))}: periodic npz files are not supported", file=path, hint="use extxyz"
        )
    numbers, positions = _pick(arrays, _NUMBERS, path), _pick(arrays, _POSITIONS, path)
    count = len(positions) if positions.ndim else 0
    shape = (count, numbers.shape[-1] if numbers.ndim else 0, 3)
    if positions.shape != shape or positions.dtype.kind not in "iuf":
        message = f"coordinates have shape {positions.shape} and type {positions.dtype}, expected numbers of {shape}"
        raise DataError(message, file=path, hint="check the layout")
    labels = {}
    for name, key in keys.named().items():
        row = quantity(name)
        labels[key] = _pick(arrays, aliases[key], path)
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


@contextmanager
def _reading(fault: str, path: Path, frame: int | None = None) -> Iterator[None]:
    """Say of whatever parsers raise on damaged files, which is of many kinds, what it means."""
    try:
        yield
    except Exception as error:
        raise DataError(f"{fault} ({_describe(error)})", file=path, frame=frame, hint=_AGAIN) from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
