"""Files that appear whole or not at all, and what identifies them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

from mlff.support.errors import InputError
from mlff.support.folders import temporary_beside

NOT_THERE = "{}: no such file or folder"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it takes the place of ``path`` when the block ends.

    An exception in the block leaves ``path`` as it was and removes the temporary file. The temporary name is unique, so
    that several processes may write the same file. What was written is on the disk before it takes its place.

    Raises:
        OSError: the file cannot be put in place.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())  # or a power cut could leave the name without its bytes
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; the file appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def most_bytes(packed: int) -> int:
    """What a compressed file of so many bytes may hold, unless it is made to swell; structures pack 20 times."""
    return max(1 << 26, 100 * packed)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_exists(*paths: Path | None) -> None:
    """Refuse files and folders that are not there, before anything that takes longer; None is no path.

    Raises:
        InputError: the message names the first that is missing.
    """
    for path in paths:
        if path is not None and not path.exists():
            raise InputError(NOT_THERE.format(path))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record for people and programs; the file appears whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG; the file appears whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
