"""Mulliken symbols of irreps, by the rules of the Report on Notation (J. Chem. Phys. 23, 1997, 1955)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlff.symmetry.elements import INVERSION, Matrix, reflection, rotation
from mlff.symmetry.group import Group, same_entries

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_FIVEFOLD = (0.0, 1.0, (1.0 + 5.0**0.5) / 2.0)


def mulliken_names(group: Group, rows: NDArray[np.float64]) -> tuple[list[str], list[int]]:
    """Symbols of real irreps with characters ``rows`` [r, classes], and the order in which they are listed."""
    standard = group.frame.T @ group.matrices @ group.frame
    symbols: list[tuple[str, str, int]] = []  # g, u, ′ or ″; letter; index
    for row in rows:
        by_operation = np.empty(len(group))
        for members, value in zip(group.classes, row, strict=True):
            by_operation[members] = value / row[0]

        def sign(operation: Matrix, values: NDArray[np.float64] = by_operation) -> float | None:
            """Character over dimension; None if the group has no such operation."""
            same = same_entries(operation[None], standard)[0]
            return float(values[same.argmax()]) if same.any() else None

        stem = _cubic if group.name[0] in "TOI" else _axial
        symbols.append((_parity(group.name, sign), *stem(group.name, round(float(row[0])), sign)))
    shared = Counter(symbol[:2] for symbol in symbols)
    ranks = [(parity in ("u", "″"), "ABETGH".index(letter), index) for parity, letter, index in symbols]
    order = sorted(range(len(rows)), key=ranks.__getitem__)
    names = []
    for k in order:
        parity, letter, index = symbols[k]
        names.append(letter + (str(index) if shared[parity, letter] > 1 else "") + parity)
    return names, order


_Sign = Callable[[Matrix], float | None]


def _parity(name: str, sign: _Sign) -> str:
    inversion, horizontal = sign(INVERSION), sign(reflection(_Z))
    if inversion is not None:
        return "g" if inversion > 0 else "u"
    if re.fullmatch(r"Cs|[CD]\d+h", name) and horizontal is not None:
        return "′" if horizontal > 0 else "″"
    return ""


def _axial(name: str, dimension: int, sign: _Sign) -> tuple[str, int]:
    """A and B by the highest axis, 1 and 2 by C2′ or σv, E_k by its turns about the highest axis."""
    n = int(re.sub(r"\D", "", name) or 1)
    turn, order = rotation(_Z, 1 / n), n
    if name[0] == "S":
        turn, order = (rotation(_Z, 2 / n), n // 2) if n % 4 else (reflection(_Z) @ rotation(_Z, 1 / n), n)
    elif name.endswith("d") and n % 2 == 0:
        turn, order = reflection(_Z) @ rotation(_Z, 1 / (2 * n)), 2 * n
    principal = sign(turn) or 0.0
    if dimension == 2:
        return "E", round(order * float(np.arccos(np.clip(principal, -1.0, 1.0))) / (2.0 * np.pi))
    if name in ("D2", "D2h"):
        kept = [k for k, axis in enumerate((_Z, _Y, _X), start=1) if (sign(rotation(axis, 1 / 2)) or 0.0) > 0]
        return ("A", 0) if len(kept) == 3 else ("B", kept[0])
    reference = sign(rotation(_X, 1 / 2)) if name[0] == "D" else sign(reflection(_Y)) if name[-1] == "v" else None
    return "A" if principal > 0 else "B", 0 if reference is None else 1 if reference > 0 else 2


def _cubic(name: str, dimension: int, sign: _Sign) -> tuple[str, int]:
    """1 and 2 by C4, S4 or C5."""
    letter = {1: "A", 2: "E", 3: "T", 4: "G", 5: "H"}[dimension]
    quarter = sign(rotation(_Z, 1 / 4)) if name[0] == "O" else sign(-rotation(_Z, 1 / 4))
    fifth = sign(rotation(_FIVEFOLD, 1 / 5)) if name[0] == "I" else None
    reference = quarter if fifth is None else fifth
    return letter, 0 if reference is None else 1 if reference > 0 else 2
