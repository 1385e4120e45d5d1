"""The folder of a run: one process works in it at a time, and nothing that a killed one left is in the way."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlff.support.errors import InputError, RunError

_LOCK = ".lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def temporary_beside(path: Path) -> Path:
    """A new name for what will take the place of ``path``; the next run removes what a killed one leaves there."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")


def holds_files(path: Path) -> bool:
    """Whether there is anything at a path but an empty folder; locks and temporary files do not count."""
    if not path.is_dir():
        return path.exists()
    return any(not _is_ours(entry.name) for entry in path.iterdir())


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Be the only process that works in a folder, which is made if it is missing.

    The lock is the system's: it ends with the process, however that ends, and a file ``.lock`` that a killed one leaves
    means nothing. Temporary files of killed runs are removed, but not those in subfolders where another run is at work.
    A folder that was made here and got no files is removed at the end.

    Raises:
        InputError: another process, or another thread of this one, is at work there.
        OSError: the folder cannot be made or written.
        RunError: the folder was removed meanwhile.
    """
    from filelock import FileLock, Timeout

    made, lock = not folder.exists(), folder / _LOCK
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):  # not taken if its file is gone by then, as that of a run that ends just now
            held = lock.stat()
            _clear(folder)
            try:
                yield
                if not folder.is_dir():
                    raise RunError(f"{folder}: the folder was removed while this run was at work in it, with its files")
            finally:
                with suppress(OSError):
                    # A folder that took the place of this one may be another run's.
                    if os.path.samestat(lock.stat(), held):
                        if made and not holds_files(folder):
                            shutil.rmtree(folder, ignore_errors=True)
                        lock.unlink(missing_ok=True)
    except Timeout:
        raise InputError(
            f"{folder}: another process is at work in this folder; wait until it ends, or choose another folder"
        ) from None


def _clear(folder: Path) -> None:
    for root, folders, files in os.walk(folder):
        if root != str(folder) and _LOCK in files:
            folders.clear()
            continue
        for name in filter(_TEMPORARY.fullmatch, files):
            Path(root, name).unlink(missing_ok=True)
        for name in [*filter(_TEMPORARY.fullmatch, folders)]:
            folders.remove(name)
            shutil.rmtree(Path(root, name), ignore_errors=True)


def _is_ours(name: str) -> bool:
    return name == _LOCK or _TEMPORARY.fullmatch(name) is not None
