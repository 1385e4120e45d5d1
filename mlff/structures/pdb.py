"""PDB files: one model at a time, one location for each atom."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

from mlff.structures.text import read_text

_log = logging.getLogger(__name__)

_ATOMS = ("ATOM  ", "HETATM")
# Records that stand before the models and hold for all of them, as far as ASE reads them.
_COMMON = ("CRYST1", "ORIGX")


def read_pdb(path: Path) -> str:
    """The text of a PDB file with one location for every atom; the log names the residues that had several, once.

    Raises:
        DataError: the file cannot be read.
    """
    text, residues = one_location(read_text(path, "replace"))
    if residues:
        named = ", ".join(residues[:5]) + (f", … ({len(residues)} in all)" if len(residues) > 5 else "")
        _log.warning("%s: of alternate locations the one of highest occupancy is kept: %s", path, named)
    return text


def pdb_models(text: str) -> list[str]:
    """The models of a PDB file as files of their own, each with the cell, which stands before the first one alone."""
    models: list[list[str]] = [[]]
    common: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(_COMMON):
            common[line[:6]] = line
        elif line.startswith("END"):
            models.append([])
        elif line.startswith(_ATOMS):
            models[-1] = models[-1] or list(common.values())
            models[-1].append(line)
    return ["\n".join([*lines, "END", ""]) for lines in models if lines]


def one_location(text: str) -> tuple[str, list[str]]:
    """The text with one location for every atom, and the residues that had several.

    A residue keeps the locations of highest mean occupancy, of equal ones the first in the alphabet, so that the
    atoms of one conformer stay together; atoms that these lack keep the best that they have. Of residues of several
    kinds at one place (microheterogeneity) one is kept.

    Args:
        text: a PDB file of one or several models.
    """
    lines = text.splitlines()
    residues = defaultdict[tuple[int, str], list[int]](list)
    model = 0
    for k, line in enumerate(lines):
        model += line.startswith(("MODEL", "END"))
        if line.startswith(_ATOMS):
            residues[model, line[21:27]].append(k)
    left_out: set[int] = set()
    several = dict[str, None]()
    for members in residues.values():
        kept = _kept(lines, members)
        if len(kept) < len(members):
            several[" ".join(lines[min(kept)][17:27].split())] = None
            left_out |= set(members) - kept
    return "\n".join(line for k, line in enumerate(lines) if k not in left_out) + "\n", list(several)


def _kept(lines: list[str], members: list[int]) -> set[int]:
    """Which lines of a residue are kept."""
    places = defaultdict[str, list[int]](list)
    for k in members:
        places[lines[k][16]].append(k)
    letters = sorted(set(places) - {" "}, key=lambda letter: (-_occupancy(lines, places[letter]), letter))
    if len(letters) < 2 and not (letters and places[" "]):
        return set(members)
    kind = lines[places[letters[0]][0]][17:20]
    chosen: dict[str, str] = {}
    for letter in (*letters, " "):
        for k in places[letter]:
            if lines[k][17:20] == kind:
                chosen.setdefault(lines[k][12:16], letter)
    return {k for k in members if lines[k][17:20] == kind and chosen.get(lines[k][12:16]) == lines[k][16]}


def _occupancy(lines: list[str], members: list[int]) -> float:
    """Mean occupancy; what cannot be read counts as whole."""
    total = 0.0
    for k in members:
        try:
            total += float(lines[k][54:60])
        except ValueError:
            total += 1.0
    return total / len(members)
