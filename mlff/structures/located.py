"""PDB and mmCIF files with one location for every atom."""

from __future__ import annotations

import logging
from pathlib import Path

from mlff.structures import mmcif, pdb
from mlff.structures.text import read_text
from mlff.support.errors import DataError

_log = logging.getLogger(__name__)

_FORMATS = {".pdb": pdb, ".ent": pdb, ".cif": mmcif, ".mmcif": mmcif, ".pdbx": mmcif}
_COMPRESSED = (".gz", ".bz2", ".xz")


def located_format(path: Path) -> str | None:
    """Suffix of a format, compressed or not, in which atoms may have several locations; None: of another one."""
    inner = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    return suffix if (suffix := inner.suffix.lower()) in _FORMATS else None


def read_located(path: Path, suffix: str | None = None) -> str:
    """The text with one location for every atom, that of highest occupancy; the log names residues that had several.

    Args:
        suffix: says the format if that of the path does not.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        text, residues = _FORMATS[suffix or located_format(path) or ".pdb"].one_location(read_text(path, "replace"))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(str(error), file=path, hint="write each atom on a line of its own") from error
    if residues:
        named = ", ".join(residues[:5]) + (f", … ({len(residues)} in all)" if len(residues) > 5 else "")
        _log.warning("%s: of alternate locations the one of highest occupancy is kept: %s", path, named)
    return text
