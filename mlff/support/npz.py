"""Dataclasses of arrays, with a report in words, as npz files."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from mlff.support.errors import DataError
from mlff.support.files import replacing


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
        with np.load(path, allow_pickle=False) as archive:
            arrays = {field.name: archive[field.name] for field in fields(kind)}
        return kind(**{**arrays, "report": json.loads(str(arrays["report"]))})
    except Exception as error:  # zip and array readers raise many kinds
        raise DataError(f"cannot be read ({error})", file=path, hint=hint) from error
