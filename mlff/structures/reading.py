"""Structures of any file that ASE reads, checked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from mlff.structures.checks import is_partial, occupancy_fault, partial_sites
from mlff.structures.extxyz import cut_frames, parse_frame
from mlff.structures.located import read_located
from mlff.structures.pdb import pdb_models
from mlff.support.errors import DataError

_ORDERED = "make an ordered structure of it first, and remove `occupancy` from its info"


def read_structures(path: Path, index: int | slice | str = -1) -> Atoms | list[Atoms]:
    """One structure of a file, or several.

    Extended XYZ is read by :func:`mlff.structures.iter_extxyz`; of PDB files the location of highest occupancy is kept
    where there are several, and the log says so once.

    Args:
        path: any file that ASE reads.
        index: number of the frame, a slice, or a selection in a database.

    Raises:
        DataError: malformed, or sites of partial occupancy; other errors are those of ASE's readers, of any kind.
    """
    try:
        kind = filetype(str(path))
    except UnknownFileTypeError:
        kind = "unknown"
    read: Atoms | list[Atoms]
    if kind == "extxyz":
        cuts = list(cut_frames(path))[index]  # type: ignore[index]
        read = [parse_frame(cut) for cut in cuts] if isinstance(cuts, list) else parse_frame(cuts)
    elif kind == "proteindatabank":
        models = pdb_models(read_located(path, ".pdb"))[index]  # type: ignore[index]
        read = _pdb(models) if isinstance(models, str) else [_pdb(model) for model in models]
    else:
        options: dict[str, Any] = {"store_tags": True} if kind == "cif" else {}
        try:
            read = ase.io.read(path, index=index, do_not_split_by_at_sign=True, **options)
        except StopIteration as error:
            raise DataError("holds no structure that ASE can read", file=path, hint="convert it") from error
    for atoms in [read] if isinstance(read, Atoms) else read:
        fault = _cif_fault(atoms) if kind == "cif" else None
        if fault := fault or occupancy_fault(atoms):
            raise DataError(fault, file=path, hint=_ORDERED)
    return read


def _pdb(model: str) -> Any:
    return ase.io.read(io.StringIO(model), format="proteindatabank")


def _cif_fault(atoms: Atoms) -> str | None:
    """Sites of partial occupancy by their labels; takes the tags of the file out of `info`."""
    tags = {key: atoms.info.pop(key) for key in list(atoms.info) if key.startswith("_")}
    labels, occupancies = (_tag(tags, name) for name in ("label", "occupancy"))
    labels = labels or _tag(tags, "label_atom_id") or [f"site {k}" for k in range(len(occupancies))]
    partial = [f"{label} ({value:g})" for label, value in zip(labels, occupancies, strict=False) if is_partial(value)]
    return partial_sites(partial) if partial else None


def _tag(tags: dict[str, object], name: str) -> list:
    value = next((tags[key] for key in (f"_atom_site_{name}", f"_atom_site.{name}") if key in tags), [])
    return value if isinstance(value, list) else [value]
