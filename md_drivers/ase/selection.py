"""Selections of atoms, as in ``--fix``.

A selection is one or more conditions joined by ``&`` (atoms that meet all of them):

- ``index:0-15,20``: atom numbers from 0, ranges (``-3--1``) include both ends, negative numbers count from the end
- ``symbol:Cu,Ni``: chemical symbols
- ``tag:0,1``: ASE tags
- ``z<8.5`` (also x, y and <=, >, >=): Cartesian coordinate in A, as stored in the file
- ``layers:2``: the lowest layers of a slab along its surface normal (third cell vector's side of the a-b plane)
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from md_drivers.common.errors import StructureError
from md_drivers.common.masks import unmasked

#: A selection in words, several of them (their union), or atom numbers.
FixSpec = str | Sequence[str] | Sequence[int] | np.ndarray

LAYER_GAP = 0.5  # A; a rattled layer is thinner, the spacing of Cu(110), 1.25 A, and of open surfaces is wider.
VACUUM_GAP = 4.0  # A; no dense material has an empty slice this wide.

_COMPARISONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARISON = re.compile(r"([xyz])\s*(<=|>=|<|>)\s*(\S+)")
_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+))?")
_IN_WORDS = {int: "integer", float: "number"}
_Number = TypeVar("_Number", int, float)


def select_atoms(atoms: Atoms, fix: FixSpec) -> np.ndarray:
    """Sorted atom numbers, int64, that ``fix`` selects in ``atoms``.

    Raises:
        StructureError: a selection cannot be read, is out of range, or matches no atom.
    """
    if isinstance(fix, str):
        fix = [fix]
    if len(fix) and all(isinstance(value, str) for value in fix):
        return np.flatnonzero(np.logical_or.reduce([_mask(atoms, str(value)) for value in fix]))
    values = unmasked(fix, len(atoms))
    if not all(isinstance(value, (int, np.integer)) for value in values):
        raise StructureError(f"cannot select atoms by {fix!r}: give strings such as 'layers:2' or atom numbers")
    mask = np.zeros(len(atoms), dtype=bool)
    for value in values:
        mask[_checked(int(value), len(atoms), repr(fix))] = True
    return np.flatnonzero(mask)


def _mask(atoms: Atoms, text: str) -> np.ndarray:
    mask = np.ones(len(atoms), dtype=bool)
    for condition in text.split("&"):
        mask &= _condition(atoms, condition.strip(), text)
    if not mask.any():
        raise StructureError(f"selection {text!r} matches no atom of {atoms.get_chemical_formula()}")
    return mask


def _condition(atoms: Atoms, condition: str, text: str) -> np.ndarray:
    comparison = _COMPARISON.fullmatch(condition)
    if comparison:
        axis, relation, limit = comparison.groups()
        return _COMPARISONS[relation](atoms.positions[:, "xyz".index(axis)], _parsed(float, limit, text))
    key, colon, argument = condition.partition(":")
    reader = _READERS.get(key.strip())
    if not colon or reader is None or not argument.strip():
        raise StructureError(
            f"cannot read selection {text!r}: use index:0-15, symbol:Cu, tag:0, layers:2 or z<8.5, joined by &"
        )
    return reader(atoms, argument.strip(), text)


def _by_index(atoms: Atoms, argument: str, text: str) -> np.ndarray:
    mask = np.zeros(len(atoms), dtype=bool)
    for part in argument.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise StructureError(f"selection {text!r}: {part.strip()!r} is no atom number or range such as 0-15")
        first = _checked(int(match[1]), len(atoms), repr(text))
        last = first if match[2] is None else _checked(int(match[2]), len(atoms), repr(text))
        if last < first:
            raise StructureError(f"selection {text!r}: the range {part.strip()!r} runs backwards")
        mask[first : last + 1] = True
    return mask


def _by_symbol(atoms: Atoms, argument: str, text: str) -> np.ndarray:
    symbols = [symbol.strip() for symbol in argument.split(",")]
    for symbol in symbols:
        if symbol not in atomic_numbers:
            raise StructureError(f"selection {text!r}: {symbol!r} is no chemical symbol")
    return np.isin(atoms.numbers, [atomic_numbers[symbol] for symbol in symbols])


def _by_tag(atoms: Atoms, argument: str, text: str) -> np.ndarray:
    return np.isin(atoms.get_tags(), [_parsed(int, tag, text) for tag in argument.split(",")])


def _by_layers(atoms: Atoms, argument: str, text: str) -> np.ndarray:
    count = _parsed(int, argument, text)
    layers = layer_numbers(atoms)
    if not 1 <= count <= layers.max() + 1:
        raise StructureError(f"selection {text!r}: the structure has {layers.max() + 1} layers, take 1 or more of them")
    return layers < count


_READERS: dict[str, Callable[[Atoms, str, str], np.ndarray]] = {
    "index": _by_index,
    "symbol": _by_symbol,
    "tag": _by_tag,
    "layers": _by_layers,
}


def layer_numbers(atoms: Atoms) -> np.ndarray:
    """Layer of each atom, int64 [N], counted from 0 at the bottom of a slab along the normal of its a-b plane.

    Atoms whose heights are connected by steps below 0.5 A form one layer. In a cell that is periodic along c the bottom
    is the first layer above the vacuum, so a bottom layer that was wrapped to the top of the cell is still found.

    Raises:
        StructureError: the structure is periodic along c and has no vacuum, hence no bottom.
    """
    # A box without (a complete) cell gets Cartesian axes in the missing directions.
    cell = atoms.cell.complete()
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    length = float(cell[2] @ normal)
    heights = atoms.positions @ normal * np.sign(length)
    order = np.argsort(heights, kind="stable")
    if atoms.pbc[2]:
        period = abs(length)
        heights = heights % period
        order = np.argsort(heights, kind="stable")
        gaps = np.diff(heights[order], prepend=heights[order[-1]] - period)
        widest = int(np.argmax(gaps))
        if gaps[widest] < VACUUM_GAP:
            raise StructureError("layers need a slab: the structure is periodic along c and has no vacuum")
        heights = (heights - heights[order[widest]]) % period
        order = np.roll(order, -widest)
    layers = np.empty(len(atoms), dtype=np.int64)
    layers[order] = np.cumsum(np.diff(heights[order], prepend=heights[order[0]]) > LAYER_GAP)
    return layers


def _checked(index: int, count: int, text: str) -> int:
    if not -count <= index < count:
        raise StructureError(f"selection {text}: there is no atom {index}, the structure has atoms 0 to {count - 1}")
    return index % count


def _parsed(kind: type[_Number], value: str, text: str) -> _Number:
    try:
        return kind(value)
    except ValueError:
        raise StructureError(f"selection {text!r}: {value.strip()!r} is no {_IN_WORDS[kind]}") from None
