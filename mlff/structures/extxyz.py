"""Extended XYZ files, frame by frame."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from ase.data import atomic_numbers

from mlff.structures.extxyz_header import Column, Header, read_header
from mlff.structures.text import read_text
from mlff.support.errors import DataError

_AGAIN = "write or download it again"
# Of a row, such as "H 0 0 0".
_SHORTEST = 8
_LOGICAL = {
    "T": True,
    "True": True,
    "TRUE": True,
    "true": True,
    "F": False,
    "False": False,
    "FALSE": False,
    "false": False,
}


@dataclass(frozen=True)
class Cut:
    """One frame of a file as it stands there.

    Attributes:
        path, index: where, frames counted from 0.
        line: of the number of atoms, counted from 1.
        rows: words of the lines of atoms.
        header: the second line.
        vectors: words of ``VEC1`` and further lines behind the atoms.
    """

    path: Path
    index: int
    line: int
    header: str
    rows: list[str]
    vectors: list[str]

    def error(self, reason: str, hint: str, line: int) -> DataError:
        """An error about a line, counted from that of the number of atoms."""
        return DataError(f"line {self.line + line} {reason}", file=self.path, frame=self.index, hint=hint)


def iter_extxyz(path: Path, asked: Collection[str] = ()) -> Iterator[tuple[int, Atoms]]:
    """Frames of an extended XYZ file, compressed or not, with their index.

    The line of keys and the columns have to be what they say; what ASE makes of other files is often not what was
    meant. Labels stand in the results of a calculator, in ``info`` and in arrays, unchecked unless they are asked for.

    Args:
        asked: keys of labels that are needed; words among their numbers are errors, and other cases of them, too.

    Raises:
        DataError: unreadable, truncated or malformed; names file, frame and line.
    """
    for cut in cut_frames(path):
        yield cut.index, parse_frame(cut, asked)


def cut_frames(path: Path) -> Iterator[Cut]:
    """The frames of a file as text. Raises DataError: unreadable or truncated."""
    text = read_text(path)
    # Not str.splitlines, which also cuts at form feeds and the like.
    lines = enumerate(io.StringIO(text, newline=None), 1)
    item, index = next(lines, None), 0
    while item is not None:
        number, line = item
        if not line.strip():
            item = next(lines, None)
            continue
        if re.fullmatch(r"\s*\d{1,18}\s*", line, re.ASCII) is None:
            raise DataError(
                f"line {number}: expected the number of atoms, found {line.strip()[:40]!r}",
                file=path,
                frame=index,
                hint="the frame before has more lines than it announces, or the file is not extxyz",
            )
        count = int(line)
        body = [] if count * _SHORTEST > len(text) else [line for _, line in islice(lines, count + 1)]
        if len(body) <= count:
            reason = f"truncated: {max(len(body) - 1, 0)} of {count} atoms"
            if count * _SHORTEST > len(text):
                reason = f"truncated: {count} atoms are more than a file of {len(text)} characters can hold"
            raise DataError(reason, file=path, frame=index, hint=_AGAIN)
        vectors = []
        item = next(lines, None)
        while item is not None and item[1].lstrip().startswith("VEC"):
            vectors.append(item[1])
            item = next(lines, None)
        yield Cut(path, index, number, body[0], body[1:], vectors)
        index += 1


def parse_frame(cut: Cut, asked: Collection[str] = ()) -> Atoms:
    """The structure of a frame; arguments and errors as of :func:`iter_extxyz`."""
    try:
        header = read_header(cut.header, {*asked, *all_properties})
    except ValueError as error:
        raise cut.error(f"cannot be parsed as extxyz: {error}", "correct the line of keys", 1) from error
    rows = _rows(cut, header)
    arrays = {column.array: _array(cut, column, rows, asked) for column in header.columns}
    info = header.info
    if both := sorted(set(arrays) & set(info) & {*all_properties, *asked}):
        raise cut.error(f"has {both[0]!r}, which is a column as well", "give one of the two another name", 1)
    results: dict[str, Any] = {key: info.pop(key) for key in list(info) if key in all_properties}
    cell, pbc = _vectors(cut) if cut.vectors and header.cell is None else (header.cell, header.pbc)
    atoms = Atoms(numbers=_numbers(cut, arrays), positions=arrays.pop("positions"), cell=cell, pbc=pbc, info=info)
    if (free := arrays.pop("move_mask", None)) is not None:
        atoms.set_constraint(_constraints(cut, free))
    for name, array in arrays.items():
        if name in all_properties:
            results[name] = array
        else:
            atoms.set_array(name, array)
    if results:
        atoms.calc = SinglePointCalculator(atoms)
        # Filled directly: whether they are numbers of the right shape matters to those alone that ask for them.
        atoms.calc.results.update(results)
    return atoms


def _rows(cut: Cut, header: Header) -> list[list[str]]:
    rows = [row.split() for row in cut.rows]
    for k, row in enumerate(rows):
        # Plain XYZ declares no columns, and programs put other things behind the positions.
        if len(row) != header.width and (header.declared or len(row) < header.width):
            declared = "Properties declares" if header.declared else "XYZ has"
            reason = f"cannot be parsed: {len(row)} columns where {declared} {header.width}"
            raise cut.error(reason, "make rows and Properties agree", k + 2)
    return rows


def _array(cut: Cut, column: Column, rows: list[list[str]], asked: Collection[str]) -> np.ndarray:
    """[N] or [N,C]; words where numbers should be stay words where nobody asks for them."""
    width = column.stop - column.start
    words = np.array([row[column.start : column.stop] for row in rows], dtype=object).reshape(len(rows), width)
    try:
        if column.kind is bool:
            array = np.array([[_LOGICAL[word] for word in row] for row in words], dtype=bool).reshape(words.shape)
        else:
            array = words.astype(column.kind) if column.kind is not str else words.astype(str)
    except (KeyError, ValueError, OverflowError):
        if column.array in ("positions", "numbers", "move_mask") or column.name in asked or column.array in asked:
            k, word = next((k, word) for k, row in enumerate(words) for word in row if not _is(column.kind, word))
            raise cut.error(f"cannot be parsed: {column.name} has {word[:40]!r}", "correct it", k + 2) from None
        array = words.astype(str)
    return array[:, 0] if width == 1 else array


def _is(kind: type, word: str) -> bool:
    try:
        return (word in _LOGICAL) if kind is bool else np.array([word], dtype=object).astype(kind) is not None
    except (ValueError, OverflowError):
        return False


def _numbers(cut: Cut, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Atomic numbers [N] of the columns of elements, which have to agree where there are two."""
    numbers, symbols = arrays.pop("numbers", None), arrays.pop("symbols", None)
    if symbols is None:
        return np.asarray(numbers)
    named = np.array([atomic_numbers.get(symbol.capitalize(), -1) for symbol in symbols], dtype=int)
    for k in np.flatnonzero(named < 0)[:1]:
        raise cut.error(f"cannot be parsed: no chemical element {str(symbols[k])[:40]!r}", "correct it", int(k) + 2)
    for k in np.flatnonzero(named != (named if numbers is None else numbers))[:1]:
        raise cut.error(f"has species {symbols[k]} and another Z", "correct one of the two", int(k) + 2)
    return named


def _vectors(cut: Cut) -> tuple[np.ndarray, list[bool]]:
    """Cell [3,3] and periodicity of ``VEC1`` and further lines."""
    cell = np.zeros((3, 3))
    for k, line in enumerate(cut.vectors):
        try:
            if k > 2 or line.split()[0] != f"VEC{k + 1}":
                raise ValueError
            cell[k] = [float(word) for word in line.split()[1:]]
        except ValueError:
            reason, line_number = (
                "cannot be parsed: expected VEC1, VEC2, VEC3 with three numbers each",
                len(cut.rows) + 2 + k,
            )
            raise cut.error(reason, "correct the lattice vectors", line_number) from None
    return cell, [k < len(cut.vectors) for k in range(3)]


def _constraints(cut: Cut, free: np.ndarray) -> FixAtoms | list[FixCartesian]:
    """Of ``move_mask``, [N] or [N,3]."""
    free = free.astype(bool)
    if free.ndim == 1:
        return FixAtoms(mask=~free)
    if free.shape[1] != 3:
        raise cut.error("declares a move_mask of neither one nor three columns", "use move_mask:L:1 or L:3", 1)
    masks = np.unique(free[~free.all(axis=1)], axis=0)
    return [FixCartesian(np.flatnonzero((free == mask).all(axis=1)), mask=~mask) for mask in masks]
