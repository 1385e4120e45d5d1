"""Point groups by their Schoenflies symbols, from generators."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from mlff.support.errors import InputError, unknown
from mlff.symmetry.elements import INVERSION, Matrix, reflection, rotation
from mlff.symmetry.group import Group, generated
from mlff.symmetry.identify import alignments, name_of
from mlff.symmetry.limits import LIMITS, LimitGroup, limit_group

HIGHEST_AXIS = 120  # C121 differs from C120 by less than any structure can show
_GOLDEN = (1.0 + 5.0**0.5) / 2.0
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_TETRAHEDRAL = [rotation(_Z, 1 / 2), rotation((1.0, 1.0, 1.0), 1 / 3)]
_POLYHEDRAL: dict[str, list[Matrix]] = {
    "T": _TETRAHEDRAL,
    "Td": [*_TETRAHEDRAL, -rotation(_Z, 1 / 4)],
    "Th": [*_TETRAHEDRAL, INVERSION],
    "O": [*_TETRAHEDRAL, rotation(_Z, 1 / 4)],
    "Oh": [*_TETRAHEDRAL, rotation(_Z, 1 / 4), INVERSION],
    "I": [*_TETRAHEDRAL, rotation((0.0, 1.0, _GOLDEN), 1 / 5)],
    "Ih": [*_TETRAHEDRAL, rotation((0.0, 1.0, _GOLDEN), 1 / 5), INVERSION],
}
_OTHER_NAMES = {
    "cs": "C1h", "ci": "S2", "c1v": "C1h", "d1": "C2", "d1h": "C2v", "d1d": "C2h", "v": "D2", "vd": "D2d", "vh": "D2h",
}  # fmt: skip
_INFINITE = re.compile(r"∞|inf|oo|\*")
#: Those with axes up to 12, and the limits.
NAMES = (
    "C1", "Cs", "Ci",
    *(f"C{n}{suffix}" for suffix in ("", "v", "h") for n in range(2, 13)),
    *(f"D{n}{suffix}" for suffix in ("", "h", "d") for n in range(2, 13)),
    *(f"S{n}" for n in range(4, 25, 2)),
    *_POLYHEDRAL, *LIMITS,
)  # fmt: skip
CRYSTALLOGRAPHIC = (
    "C1", "Ci", "C2", "Cs", "C2h", "D2", "C2v", "D2h", "C4", "S4", "C4h", "D4", "C4v", "D2d", "D4h", "C3", "S6", "D3",
    "C3v", "D3d", "C6", "C3h", "C6h", "D6", "C6v", "D3h", "D6h", "T", "Th", "O", "Td", "Oh",
)  # fmt: skip


def point_group_named(name: str) -> Group | LimitGroup:
    """A point group in its standard orientation, by its Schoenflies symbol; capitals do not matter.

    C_n, C_nv, C_nh, D_n, D_nh, D_nd and S_2n with any n up to 120, Cs, Ci, T, Td, Th, O, Oh, I, Ih; the limits C∞v,
    D∞h and Kh (also written Cinfv, Dinfh) and their subgroups C∞, C∞h, D∞, K.

    >>> point_group_named("D6h")
    <D6h, 24 operations>

    Raises:
        InputError: no such group.
    """
    text = _INFINITE.sub("∞", name.strip().lower())
    limits = {limit.lower(): limit for limit in LIMITS}
    if text in limits:
        return limit_group(limits[text])
    for polyhedral in _POLYHEDRAL:
        if text == polyhedral.lower():
            return _finite(polyhedral)
    text = _OTHER_NAMES.get(text, text).lower()
    parts = re.fullmatch(r"([cds])([1-9]\d*)([hvdi]?)", text)
    if parts is None or (parts[1] + parts[3] not in ("c", "cv", "ch", "ci", "d", "dh", "dd", "s")):
        raise InputError(unknown("point group", name, NAMES))
    letter, n, suffix = parts[1].upper(), int(parts[2]), parts[3]
    if n > (2 * HIGHEST_AXIS if letter == "S" else HIGHEST_AXIS):
        raise InputError(f"point group `{name}`: the order of an axis is at most {HIGHEST_AXIS}")
    if letter == "C" and suffix == "i":  # C3i = S6
        if n % 2 == 0:
            raise InputError(unknown("point group", name, NAMES))
        letter, n, suffix = "S", 2 * n, ""
    if letter == "S" and n % 2:  # S3 generates C3h
        letter, suffix = "C", "h"
    return _finite(f"{letter}{n}{suffix}")


def finite_group(name: str) -> Group:
    """A finite point group by name.

    Raises:
        InputError: no such group, or an infinite one.
    """
    group = point_group_named(name)
    if isinstance(group, LimitGroup):
        raise InputError(f"{group.name} has infinitely many operations; name a finite group, such as {group.example}")
    return group


@cache
def _finite(symbol: str) -> Group:
    generators = _POLYHEDRAL.get(symbol) or _axial(symbol)
    matrices = generated(generators, 4 * HIGHEST_AXIS)
    matrices.setflags(write=False)
    return Group(name_of(matrices), matrices, np.eye(3))


def _axial(symbol: str) -> list[Matrix]:
    letter, n, suffix = symbol[0], int(symbol[1:].rstrip("hvd")), symbol[1:].lstrip("0123456789")
    if letter == "S":
        return [reflection(_Z) @ rotation(_Z, 1 / n)]
    if suffix == "d":
        return [reflection(_Z) @ rotation(_Z, 1 / (2 * n)), rotation(_X, 1 / 2)]
    found = [rotation(_Z, 1 / n)]
    if letter == "D":
        found.append(rotation(_X, 1 / 2))
    if suffix:
        found.append(reflection(_Z if suffix == "h" else _Y))
    return found


def group_of(matrices: Matrix) -> Group:
    """Matrices [n, 3, 3], which form a group with E first, as a group in its orientation."""
    name = name_of(matrices)
    return Group(name, matrices, alignments(_finite_standard(name), matrices, first_only=True)[0])


def _finite_standard(name: str) -> Matrix:
    return finite_group(name).matrices
