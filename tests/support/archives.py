"""Archives of torch, taken apart and put together otherwise."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

#: The program of a toy potential, and where its ``forward`` begins.
CODE = "code/__torch__/support/toy_potential.py"
PLACE = "    _0 = uninitialized(Tensor)\n"
UNSIGNED: dict[str, bytes | None] = {"extra/sha256.json": None}  # whoever forges a file leaves it out


def in_forward(statement: str) -> Callable[[str], str]:
    """Statements at the start of ``forward``, four blanks before each."""
    return lambda code: code.replace(PLACE, "".join(f"    {line}\n" for line in statement.split("\n")) + PLACE)


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
