"""PDB files: one model at a time, one location for each atom."""

from __future__ import annotations

from mlff.structures.locations import Site, left_out

_ATOMS = ("ATOM  ", "HETATM")
# Records that stand before the models and hold for all of them, as far as ASE reads them.
_COMMON = ("CRYST1", "ORIGX")


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
    """The text of a PDB file with one location for every atom, and the residues that had several."""
    lines = text.splitlines()
    rows: list[int] = []
    sites: list[Site] = []
    model = 0
    for k, line in enumerate(lines):
        model += line.startswith(("MODEL", "END"))
        if line.startswith(_ATOMS):
            rows.append(k)
            words = " ".join(line[17:27].split())
            sites.append(Site((model, line[21:27]), words, line[16:17], line[17:20], line[12:16], line[54:60]))
    rest, several = left_out(sites)
    dropped = {rows[k] for k in rest}
    return "\n".join(line for k, line in enumerate(lines) if k not in dropped) + "\n", several
