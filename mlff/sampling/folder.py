"""The folder of a data set, which keeps the settings that it was begun with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlff.support.errors import InputError
from mlff.support.folders import at_work, holds_files

SETTINGS = "config.yaml"


def holds_data(folder: Path) -> bool:
    """Whether a folder holds a data set to go on with; otherwise it is new or empty.

    Raises:
        InputError: it holds something else.
    """
    if (folder / SETTINGS).exists():
        return True
    if holds_files(folder):
        raise InputError(f"{folder}: is not empty and holds no data of this command; choose another folder")
    return False


@contextmanager
def making_data(folder: Path) -> Iterator[None]:
    """Be the only process that makes data in a folder, which :func:`holds_data` has none of or data.

    Raises:
        InputError: it holds something else, or another process is at work there.
    """
    holds_data(folder)  # what it refuses shall not get a lock
    with at_work(folder):
        yield


def check_settings(folder: Path, same: bool) -> None:
    """Refuse to go on with other settings than those of a folder.

    Raises:
        InputError: they are not the ``same``.
    """
    if not same:
        raise InputError(
            f"{folder}: holds data of other settings (its {SETTINGS}); choose another folder or delete this one"
        )
