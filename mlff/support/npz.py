"""Dataclasses of arrays, with a report in words, as npz files."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Container
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from mlff.support.errors import DataError
from mlff.support.files import most_bytes, replacing


class Record(Protocol):
    """A dataclass whose fields are arrays, but for ``report``, which is what JSON can hold."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def report(self) -> dict[str, Any]: ...


_R = TypeVar("_R", bound=Record)


def write_npz(record: Record, path: Path, *, compressed: bool = False) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    arrays: dict[str, Any] = {field.name: getattr(record, field.name) for field in fields(record)}
    arrays["report"] = np.array(json.dumps(record.report))
    with replacing(path) as temporary, temporary.open("wb") as stream:
        (np.savez_compressed if compressed else np.savez)(stream, **arrays)


def read_npz(kind: type[_R], path: Path, hint: str) -> _R:
    """The content of a file of :func:`write_npz`. No pickle is loaded.

    Args:
        hint: what to do about a damaged file.

    Raises:
        DataError: missing or damaged.
    """
    try:
        content = read_arrays(path)
        arrays = {field.name: content[field.name] for field in fields(kind)}
        return kind(**{**arrays, "report": json.loads(str(arrays["report"]))})
    except Exception as error:  # zip and array readers raise many kinds
        raise DataError(f"cannot be read ({error})", file=path, hint=hint) from error


def read_arrays(path: Path, wanted: Container[str] | None = None) -> dict[str, Any]:
    """Arrays of an npz file by name. No pickle is loaded, and nothing that takes more memory than the file says.

    Args:
        wanted: names of those that are read, the others are None; None: all of them.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: no npz file, damaged, or an array that is not as large as its member.
    """
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > most_bytes(path.stat().st_size):
            raise ValueError("its arrays are many times larger than the file")
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"holds {name} twice")
            arrays[name] = None
            if wanted is None or name in wanted:
                with archive.open(member) as stream:
                    _check_size(name, stream, member.file_size)
                with archive.open(member) as stream:
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _check_size(name: str, stream: Any, size: int) -> None:
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(stream))
    if read_header is None:
        raise ValueError(f"{name} is in an unknown version of the format npy")
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if math.prod(shape) * dtype.itemsize != size - stream.tell() or min(shape, default=0) < 0:
        raise ValueError(f"{name} of shape {shape} does not have the size of its member, {size} bytes")
