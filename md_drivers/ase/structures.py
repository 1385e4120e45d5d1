"""Reading of structure files for the drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms
from ase.io.formats import UnknownFileTypeError, parse_filename

from md_drivers.common.checks import missing_structure
from md_drivers.common.errors import StructureError
from mlff import structures as files
from mlff.structures import occupancy_fault, room_fault

_FORMATS = "these are .extxyz, .xyz, .traj, .db, .json, .cif, .pdb, POSCAR and what else ase info --formats lists"
_COMPRESSED = {".gz", ".bz2", ".xz"}

#: A structure or a file of structures, several of them, or structures by name.
Structures = Atoms | str | Path | Sequence[Atoms | str | Path] | Mapping[str, Atoms]


def read_structures(file: str | Path) -> list[tuple[str, Atoms]]:
    """Frames of a structure file with a name each.

    Args:
        file: any file that ASE reads, with an optional ASE selection: ``slab.traj`` (last frame), ``slab.traj@0``,
            ``slab.traj@0:3``, ``slab.traj@:`` (all), ``slabs.db@id=3``.

    Returns:
        ``(name, atoms)`` pairs; the name is the file's stem, numbered when there are several frames.

    Raises:
        StructureError: the file is missing, cannot be read, or the selection has no frames.
    """
    text = str(file)
    if missing := missing_structure(text):
        raise StructureError(missing)
    # An @ inside an existing name is no selection.
    filename, index = (text, None) if Path(text).exists() else parse_filename(text)
    path = Path(filename)
    if path.is_file() and path.stat().st_size == 0:
        raise StructureError(f"structure file {filename!r} is empty")
    try:
        read = files.read_structures(path, -1 if index is None else index)
    except UnknownFileTypeError as error:
        raise StructureError(f"{text!r} is not a structure file: {_FORMATS}") from error
    except Exception as error:  # ASE's readers raise whatever the parser met.
        reason = str(error) or type(error).__name__
        raise StructureError(f"cannot read {text!r} as a structure: {reason}") from error
    frames = [read] if isinstance(read, Atoms) else list(read)
    if not frames:
        raise StructureError(f"{text!r} selects no frames")
    stem = _stem(path)
    names = [stem] if isinstance(read, Atoms) else [f"{stem}-{k}" for k in range(len(frames))]
    return list(zip(names, frames, strict=True))


def collect_structures(structures: Structures) -> list[tuple[str, Atoms]]:
    """Named copies, without calculator, of all given structures; names are unique.

    Files of the same stem in different folders are named ``<folder>-<stem>``, whatever their order.

    Raises:
        StructureError: nothing was given, an item is of another type, a file cannot be read, sites are not wholly
            occupied, or a cell cannot hold its atoms.
    """
    if isinstance(structures, Mapping):
        items: Sequence[object] = list(structures.values())
        labels = [_checked_name(name) for name in structures]
    else:
        items = [structures] if isinstance(structures, (Atoms, str, Path)) else list(structures)
        labels = [f"structure-{k}" for k in range(len(items))] if len(items) > 1 else ["structure"]
    found: list[tuple[str, Atoms, Path | None]] = []  # with the folder of a file
    for label, item in zip(labels, items, strict=False):
        if isinstance(item, Atoms):
            found.append((label, item, None))
        elif isinstance(item, (str, Path)) and not isinstance(structures, Mapping):
            found += [(name, atoms, _folder(item)) for name, atoms in read_structures(item)]
        else:
            raise StructureError(f"{label!r} is a {type(item).__name__}, not ase.Atoms or a file name")
    if not found:
        raise StructureError("no structures were given")
    homes = defaultdict[str, set[Path | None]](set)
    for name, _, folder in found:
        homes[name].add(folder)
    unique: dict[str, Atoms] = {}
    for name, atoms, folder in found:
        if folder is not None and folder.name and len(homes[name]) > 1:
            name = f"{folder.name}-{name}"
        candidate, number = name, 2
        while candidate in unique:
            candidate, number = f"{name}-{number}", number + 1
        unique[candidate] = _checked(candidate, atoms)
    return list(unique.items())


def _checked(name: str, atoms: Atoms) -> Atoms:
    """A copy of a structure that can be."""
    if fault := occupancy_fault(atoms):
        raise StructureError(f"structure {name!r}: {fault}; order it, and delete atoms.info['occupancy']")
    if fault := room_fault(atoms):
        raise StructureError(f"structure {name!r}: {fault}; give the cell in A, or set pbc to False if there is none")
    return atoms.copy()


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or any(character in name for character in "/\\\0"):
        raise StructureError(f"{name!r} cannot name a structure: the name becomes a folder")
    return name


def _stem(path: Path) -> str:
    while path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    return path.stem


def _folder(file: str | Path) -> Path:
    text = str(file)
    return Path(text if Path(text).exists() else parse_filename(text)[0]).resolve().parent
