"""The folder of a data set, which keeps the settings that it was begun with."""

from __future__ import annotations

from pathlib import Path

from mlff.support.errors import InputError

SETTINGS = "config.yaml"


def holds_data(folder: Path) -> bool:
    """Whether a folder holds a data set to go on with; otherwise it is new or empty.

    Raises:
        InputError: it holds something else.
    """
    if (folder / SETTINGS).exists():
        return True
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty and holds no data of this command; choose another folder")
    return False


def check_settings(folder: Path, same: bool) -> None:
    """Refuse to go on with other settings than those of a folder.

    Raises:
        InputError: they are not the ``same``.
    """
    if not same:
        raise InputError(
            f"{folder}: holds data of other settings (its {SETTINGS}); choose another folder or delete this one"
        )
