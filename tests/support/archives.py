"""Archives of torch, taken apart and put together otherwise."""

import zipfile
from collections.abc import Mapping
from pathlib import Path


def rewrite(source: Path, target: Path, changes: Mapping[str, bytes | None]) -> Path:
    """Copy an archive; ``changes`` maps member names without the top folder to new bytes, or to None to drop them."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = changes.get(name.partition("/")[2], old.read(name))
            if data is not None:
                new.writestr(name, data)
        for member, data in changes.items():
            if f"archive/{member}" not in old.namelist() and data is not None:
                new.writestr(f"archive/{member}", data)
    return target


def read_member(source: Path, member: str) -> bytes:
    """Bytes of a member, by its name without the top folder."""
    with zipfile.ZipFile(source) as archive:
        return archive.read(f"archive/{member}")
