"""The Schoenflies symbol of a set of matrices, and all rotations that take one group to another."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np

from mlff.symmetry.elements import CLOSE, INVERSION, Matrix, axes, is_proper, turns
from mlff.symmetry.group import same_entries


def name_of(matrices: Matrix) -> str:
    """Schoenflies symbol of a group.

    A group with improper operations is either H ∪ iH, or H ∪ i(K∖H) with a group K of rotations that holds H as half
    of it, and that pair names it.
    """
    proper = is_proper(matrices)
    rotations, improper = matrices[proper], matrices[~proper]
    kind, n = _rotation_group(rotations)
    if len(improper) == 0:
        return _known(kind, n, "")
    if same_entries(improper, INVERSION[None]).any():
        if kind in ("T", "O", "I"):
            return f"{kind}h"
        if kind == "C":
            return _known("C", n, "h") if n % 2 == 0 else _known("S", 2 * n, "")
        return f"D{n}{'h' if n % 2 == 0 else 'd'}"
    larger, m = _rotation_group(np.concatenate([rotations, -improper]))
    if larger == "O":
        return "Td"
    if larger == "C":
        return _known("C", n, "h") if n % 2 else _known("S", 2 * n, "")
    if kind == "C" and m == n:
        return f"C{n}v"
    return f"D{n}{'h' if n % 2 else 'd'}"


def _rotation_group(rotations: Matrix) -> tuple[str, int]:
    """Letter and order of the highest axis."""
    highest = max(turn.denominator for turn in turns(rotations))
    if len(rotations) == highest:
        return "C", highest
    if len(rotations) == 2 * highest:
        return "D", highest
    return {12: "T", 24: "O", 60: "I"}[len(rotations)], highest


def _known(letter: str, n: int, suffix: str) -> str:
    """C1h is called Cs, and S2 Ci."""
    return {"C1h": "Cs", "S2": "Ci"}.get(f"{letter}{n}{suffix}", letter + (str(n) if letter in "CDS" else "") + suffix)


def alignments(source: Matrix, target: Matrix, first_only: bool = False) -> Matrix:
    """Rotations Q [N, 3, 3] with Q S Qᵀ = T.

    A group with two axes has finitely many, and they are found by sending two axes of the source to all pairs of axes
    of the target that are like them. With one axis or none there are infinitely many, of which some are given.
    """
    signatures = [_signatures(group) for group in (source, target)]
    if Counter(signatures[0]) != Counter(signatures[1]):
        return np.empty((0, 3, 3))
    lines = [_lines(group, signature) for group, signature in zip((source, target), signatures, strict=True)]
    rare = sorted(lines[0], key=lambda key: (len(lines[0][key]), str(key)))
    if not rare:
        return np.eye(3)[None]
    first = (rare[0], lines[0][rare[0]][0])
    second = next(
        ((key, line) for key in rare for line in lines[0][key] if abs(line @ first[1]) < 1.0 - CLOSE),
        None,
    )
    if second is None:
        return np.stack([_frame(lines[1][rare[0]][0]) @ _frame(first[1]).T])
    start = _frame(first[1], second[1])
    found: list[Matrix] = []
    for a, b, sign_a, sign_b in product(lines[1][first[0]], lines[1][second[0]], (1.0, -1.0), (1.0, -1.0)):
        if abs(sign_a * sign_b * (a @ b) - first[1] @ second[1]) > CLOSE:
            continue
        turn = _frame(sign_a * a, sign_b * b) @ start.T
        if same_entries(turn @ source @ turn.T, target).any(axis=1).all() and not (
            found and same_entries(turn[None], np.array(found)).any()
        ):
            found.append(turn)
            if first_only:
                break
    return np.array(found).reshape(-1, 3, 3)


def _signatures(matrices: Matrix) -> list[tuple[bool, float]]:
    return list(zip(is_proper(matrices).tolist(), map(float, turns(matrices)), strict=True))


def _lines(matrices: Matrix, signatures: list[tuple[bool, float]]) -> dict[tuple[bool, float], list[Matrix]]:
    """The axes of each kind of operation, each once."""
    found: dict[tuple[bool, float], list[Matrix]] = {}
    for axis, signature in zip(axes(matrices), signatures, strict=True):
        known = found.setdefault(signature, [])
        if axis.any() and not any(abs(axis @ line) > 1.0 - CLOSE for line in known):
            known.append(axis)
    return {signature: lines for signature, lines in found.items() if lines}


def _frame(first: Matrix, second: Matrix | None = None) -> Matrix:
    """A right-handed orthonormal frame (columns) with z along the first vector and x towards the second."""
    if second is None:
        second = np.eye(3)[np.argmin(abs(first))]
    across = second - (second @ first) * first
    across = across / np.linalg.norm(across)
    return np.stack([across, np.cross(first, across), first], axis=1)
