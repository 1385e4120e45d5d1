"""The second line of an extended XYZ frame: keys and values, cell, periodicity and columns."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

STRUCTURAL = {"lattice": "Lattice", "pbc": "pbc", "properties": "Properties"}
_LONGEST = 1 << 22  # characters; a Hessian of 150 atoms fits
# Words of parts in quotes or brackets; an open one ends with the line. No part is read twice, however it is nested.
_PART = r'\\.?|"(?:\\.?|[^"\\]++)*+(?:"|\Z)|' + r"'(?:\\.?|[^'\\]++)*+(?:'|\Z)|"
_PART += r"\{(?:\\.?|[^}\\]++)*+(?:\}|\Z)|\[(?:\\.?|[^\]\\]++)*+(?:\]|\Z)"
_PARTS = re.compile(rf"{_PART}|[^\s=\\\"'{{\[]++", re.DOTALL)
_WORD = re.compile(rf"=|(?:{_PARTS.pattern})++", re.DOTALL)
_MARKS = frozenset("\"'{[\\")
_CLOSING = {'"': '"', "'": "'", "{": "}", "[": "]"}
_LOGICAL = {"T": True, "F": False} | {
    word: word.lower() == "true" for word in ["true", "True", "TRUE", "false", "False", "FALSE"]
}
_PERIODIC = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_KINDS = {"R": float, "I": int, "S": str, "L": bool}
# Names of columns and of arrays in ASE.
_ARRAYS = {"pos": "positions", "Z": "numbers", "charge": "charges", "species": "symbols"}
_PLAIN = "species:S:1:pos:R:3"


@dataclass(frozen=True)
class Column:
    """Columns ``start`` to ``stop`` of the rows are one array; ``name`` is the file's, ``array`` that of ASE."""

    name: str
    array: str
    kind: type
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """What the second line says.

    Attributes:
        info: values of all other keys.
        cell: [3, 3] rows in A, or None.
        pbc: three booleans.
        columns: of the rows.
        declared: whether there is a ``Properties``.
    """

    info: dict[str, Any]
    cell: np.ndarray | None
    pbc: tuple[bool, ...]
    columns: tuple[Column, ...]
    declared: bool

    @property
    def width(self) -> int:
        """Number of columns of a row."""
        return self.columns[-1].stop


def read_header(line: str, watched: Collection[str]) -> Header:
    """The second line of a frame.

    Args:
        watched: keys that may not stand twice in any case of their letters; others may differ by that alone.

    Raises:
        ValueError: too long, a key twice, or a cell, periodicity or columns that cannot be read.
    """
    if len(line) > _LONGEST:
        raise ValueError(f"{len(line)} characters, more than the {_LONGEST} that are read")
    found: dict[str, str] = {}
    folded: dict[str, str] = {}
    guarded = {key.lower() for key in watched} | set(STRUCTURAL)
    for key, value in _pairs(line):
        other = folded.setdefault(key.lower(), key)
        if (key in found and value is not None) or (other != key and key.lower() in guarded):
            also = f", also as {_shown(other)}" if other != key else ""
            raise ValueError(f"the key {_shown(key)} stands twice{also}")
        found.setdefault(STRUCTURAL.get(key.lower(), key), "T" if value is None else value)
    lattice, pbc = found.pop("Lattice", None), found.pop("pbc", None)
    properties = found.pop("Properties", None)
    cell = None if lattice is None else _lattice(lattice)
    return Header(
        info={key: text if key.lower() == "uid" else parsed(text) for key, text in found.items()},
        cell=cell,
        pbc=(cell is not None,) * 3 if pbc is None else _periodicity(pbc),
        columns=_columns(_PLAIN if properties is None else properties),
        declared=properties is not None,
    )


def _pairs(line: str) -> list[tuple[str, str | None]]:
    """Keys and values in their order; None: a key without value. What follows a second ``=`` belongs to the value."""
    pairs: list[list[str]] = []
    opened = False
    for match in _WORD.finditer(line):
        word = match[0]
        if word == "=" and pairs:
            pairs[-1].append("")
            opened = True
        elif opened:
            pairs[-1][-1], opened = _bare(word), False
        else:
            pairs.append([_bare(word)])
    return [(key, "=".join(values) if values else None) for key, *values in pairs]


def _bare(word: str) -> str:
    """A word without its quotes, brackets and backslashes."""
    if _MARKS.isdisjoint(word):
        return word
    plain = []
    for match in _PARTS.finditer(word):
        part = match[0]
        if part[0] in _CLOSING:
            part = part[1:-1] if len(part) > 1 and part.endswith(_CLOSING[part[0]]) else part[1:]
        plain.append(re.sub(r"\\(.?)", r"\1", part, flags=re.DOTALL) if "\\" in part else part)
    return "".join(plain)


def parsed(text: str) -> Any:
    """A value as ASE reads it: numbers, booleans, JSON behind ``_JSON``, or the text itself.

    Brackets around numbers do not matter, in whatever notation.
    """
    words = re.findall(r"[^\s,]+", text)
    for kind in (int, float):
        try:
            numbers = np.array(words, dtype=kind)
        except (ValueError, OverflowError):
            continue
        return numbers[0] if len(numbers) == 1 else numbers
    if all(word in _LOGICAL for word in words):
        flags = [_LOGICAL[word] for word in words]
        return flags[0] if len(flags) == 1 else flags
    bracketed = text.lstrip().startswith(("[", "{", "(", "_JSON "))
    return _nested(text, text.strip().removeprefix("_JSON ")) if bracketed else text


def _nested(text: str, content: str) -> Any:
    """JSON, or numbers in brackets of any kind."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        words = re.sub(r"[][(){},]", " ", content).split()
        try:
            return np.array(words, dtype=float) if words else text
        except ValueError:
            return text
    try:
        array = np.array(value)
    except ValueError:  # lists of several lengths
        array = np.array(None)
    if array.dtype.kind in "ifb":
        return array
    return value if text.lstrip().startswith("_JSON ") else text


def _lattice(text: str) -> np.ndarray:
    value = parsed(text)
    numbers = np.asarray(value) if not isinstance(value, str | dict) else np.zeros(0)
    if numbers.size != 9 or numbers.dtype.kind not in "if":
        raise ValueError(f"Lattice={_shown(text)} is not nine numbers, the three lattice vectors one after the other")
    # Nested lists stand for rows in some programs, for columns in others.
    if numbers.ndim > 1 and not np.array_equal(numbers, numbers.T):
        raise ValueError("Lattice is a nested list; write nine numbers, the three lattice vectors one after the other")
    return numbers.reshape(3, 3).astype(float)


def _periodicity(text: str) -> tuple[bool, ...]:
    words = re.findall(r"[^\s,\[\](){}]+", text.strip().removeprefix("_JSON ").lower())
    if len(words) == 1 and len(words[0]) == 3:
        words = list(words[0])
    if len(words) != 3 or not all(word in _PERIODIC for word in words):
        raise ValueError(f'pbc={_shown(text)} is not three of T and F, as in pbc="T T F"')
    return tuple(_PERIODIC[word] for word in words)


def _columns(text: str) -> tuple[Column, ...]:
    fields = text.split(":")
    columns: list[Column] = []
    for name, letter, count in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if not name or letter not in _KINDS or re.fullmatch(r"[1-9]\d{0,8}", count, re.ASCII) is None:
            raise ValueError(
                f"Properties has {_shown(f'{name}:{letter}:{count}')}; entries are name:R, I, S or L:count"
            )
        start = columns[-1].stop if columns else 0
        columns.append(Column(name, _ARRAYS.get(name, name), _KINDS[letter], start, start + int(count)))
    if len(fields) % 3:
        raise ValueError(f"Properties={_shown(text)} is not a list of name:type:count")
    names = Counter(name.lower() for column in columns for name in {column.name, column.array})
    if twice := {name for name, count in names.items() if count > 1}:
        raise ValueError(f"Properties has the column {_shown(min(twice))} twice")
    shapes = {column.array: (column.kind, column.stop - column.start) for column in columns}
    if shapes.get("positions") not in ((float, 3), (int, 3)):
        raise ValueError("Properties has no column of positions, pos:R:3")
    if not {"symbols", "numbers"} & set(shapes):
        raise ValueError("Properties has no column of elements, species:S:1 or Z:I:1")
    if shapes.get("symbols", (str, 1)) != (str, 1) or shapes.get("numbers", (int, 1)) != (int, 1):
        raise ValueError("elements are written as species:S:1 or Z:I:1 in Properties")
    return tuple(columns)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
