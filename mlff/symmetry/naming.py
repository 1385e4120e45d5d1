"""Names of conjugacy classes: E, 8C3, 3σh, 6σd … by the place of axes and planes in the standard orientation."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np

from mlff.symmetry.elements import CLOSE, Matrix, axes, is_proper, symbol, turns
from mlff.symmetry.group import Group, Mask


@lru_cache(maxsize=256)
def class_names(group: Group) -> list[str]:
    """Names of ``group.classes``, without their sizes, in the same order.

    The classes of C4v:

    >>> from mlff.symmetry.schoenflies import point_group_named
    >>> sorted(class_names(point_group_named("C4v")))
    ['C2', 'C4', 'E', 'σd', 'σv']
    """
    standard = group.frame.T @ group.matrices @ group.frame
    lines, angles, proper = axes(standard), turns(standard), is_proper(standard)
    names: list[str] = []
    halves = sum(bool(proper[one[0]]) and angles[one[0]] == Fraction(1, 2) for one in group.classes)
    for members in group.classes:
        turn, rotates = angles[members[0]], bool(proper[members[0]])
        if turn == Fraction(1, 2) and rotates:
            name = _half_turn(group.name, lines[members]) if halves > 1 else "C2"
        elif turn == 0 and not rotates:
            name = _mirror(group.name, lines[members])
        else:
            name = _power(standard[members], lines[members], turn, rotates, names)
        names.append(name)
    return names


def class_sizes(group: Group) -> list[str]:
    """Names of the classes with their sizes, as in the head of a character table: E, 2C4, …"""
    sizes = [len(members) for members in group.classes]
    return [f"{size if size > 1 else ''}{name}" for size, name in zip(sizes, class_names(group), strict=True)]


def content(group: Group, members: Mask) -> str:
    """How many operations of each class a subset has: ``E, C2, 2σd``."""
    counts = [(int(members[one].sum()), name) for one, name in zip(group.classes, class_names(group), strict=True)]
    return ", ".join(f"{count if count > 1 else ''}{name}" for count, name in counts if count)


def _power(matrices: Matrix, lines: Matrix, turn: Fraction, rotates: bool, taken: list[str]) -> str:
    """C_n^k or S_n^k: k counts turns about +z, and where axes of all directions are one class, about any of them."""
    if abs(abs(lines[:, 2]) - 1.0).max() < CLOSE:
        turn = min(_about_z(matrix) for matrix in matrices)
    name = symbol(rotates, turn)
    return name if name not in taken else symbol(rotates, 1 - turn)


def _about_z(matrix: Matrix) -> Fraction:
    """Angle in turns, 0 ≤ turn < 1, about z."""
    angle = np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]) / (2.0 * np.pi)
    return Fraction(float(angle % 1.0)).limit_denominator(240) % 1


def _half_turn(name: str, lines: Matrix) -> str:
    if name in ("D2", "D2h"):
        return f"C2({'xyz'[int(abs(lines[0]).argmax())]})"
    if name in ("O", "Oh"):
        return "C2" if len(lines) == 3 else "C2′"
    if abs(lines[0, 2]) > 1.0 - CLOSE:
        return "C2"
    return "C2′" if (abs(lines[:, 0]) > 1.0 - CLOSE).any() else "C2″"


def _mirror(name: str, normals: Matrix) -> str:
    along = {axis: bool((abs(normals[:, k]) > 1.0 - CLOSE).any()) for k, axis in enumerate("xyz")}
    if name == "D2h":
        return "σ(" + "xyz".replace("xyz"[int(abs(normals[0]).argmax())], "") + ")"
    if name == "C2v":
        return "σv(xz)" if along["y"] else "σv′(yz)"
    if name in ("I", "Ih"):
        return "σ"
    if along["z"]:
        return "σh"
    if name[0] in "TO" or (name.startswith("D") and name.endswith("d")) or not along["y"]:
        return "σd"
    return "σv"
