"""The file around a model: a zip archive whose members are read and checked before any of it is given to torch."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mlff.artifacts.errors import ArtifactError, ArtifactNotFoundError
from mlff.support.files import replacing, sha256_of

METADATA = "metadata.json"
SELF_TEST = "self_test.json"
NOT_A_MODEL = "not a model file: models written by mlff.export are TorchScript archives"
# What zipfile raises for members that are damaged, encrypted or beyond the end of the file.
READING_ERRORS = (zipfile.BadZipFile, zlib.error, ValueError, OverflowError, EOFError, RuntimeError)
_LARGEST_TEXT = 256 * 2**20  # bytes; a larger metadata member is no metadata
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # torch reads no others


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        ArtifactNotFoundError: there is no such file.
    """
    try:
        return sha256_of(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ArtifactNotFoundError(f"{path}: no such file") from error


def damage(start: bytes) -> str | None:
    """What a file is that is no whole zip archive, judged by its first bytes; None if they say nothing."""
    if not start:
        return "the file is empty"
    if start.startswith(b"PK\x03\x04"):
        return "the file is truncated or damaged; copy or download it again"
    if start.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the model; fetch the file with git lfs pull"
    if start.startswith(b"\x80"):
        return "this is a bare pickle; it was not opened, since pickles can run any code"
    return None


class Container:
    """The bytes of one model file, read once, so that what is checked and hashed is what is loaded.

    Attributes:
        path: of the file.
        data: its bytes.
        members: paths inside of the archive, without its top folder.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            ArtifactNotFoundError: there is no such file.
            ArtifactError: the file cannot be read, is not a whole zip archive, or would take implausibly much memory.
        """
        self.path = path
        try:
            self.data = path.read_bytes()
        except FileNotFoundError as error:
            raise ArtifactNotFoundError(f"{path}: no such file") from error
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(self.data))
            names = self._zip.namelist()
        except READING_ERRORS as error:
            raise ArtifactError(f"{path}: {damage(self.data) or NOT_A_MODEL}") from error
        self._check_compression()
        # torch puts everything below one folder, whose name is free. With two of them, or with one member twice, torch
        # and this class might read different ones.
        if len(set(names)) < len(names) or len({PurePosixPath(name).parts[:1] for name in names}) != 1:
            raise ArtifactError(f"{path}: {NOT_A_MODEL}")
        self._names = {str(PurePosixPath(*PurePosixPath(name).parts[1:])): name for name in names}
        self.members = frozenset(self._names)

    def _check_compression(self) -> None:
        """Judge by the table of members; nothing is inflated for it."""
        members = [member for member in self._zip.infolist() if member.compress_type != zipfile.ZIP_STORED]
        if any(member.compress_type not in _METHODS for member in members):
            raise ArtifactError(f"{self.path}: {NOT_A_MODEL}")
        inflated = sum(member.file_size for member in members)
        if inflated > _LARGEST_TEXT:
            raise ArtifactError(
                f"{self.path}: its compressed members would take {inflated:,} bytes, which is implausibly large: "
                "mlff.export compresses none"
            )

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    def check_same(self, sha256: str) -> None:
        """Make sure that this is the file which a model was loaded from.

        Raises:
            ArtifactError: it is not.
        """
        if self.sha256 != sha256:
            raise ArtifactError(
                f"{self.path}: the file has changed since the model was loaded (SHA-256 {self.sha256}, was {sha256}); "
                "load it again"
            )

    def check_intact(self) -> None:
        """Compare all members with their checksums.

        Raises:
            ArtifactError: a member is damaged.
        """
        try:
            damaged = self._zip.testzip()
        except READING_ERRORS as error:
            raise ArtifactError(f"{self.path}: the file is damaged ({error}); copy or download it again") from error
        if damaged is not None:
            raise ArtifactError(f"{self.path}: the file is damaged at {damaged}; copy or download it again")

    def read_text(self, name: str) -> str:
        """Text of an extra file, such as ``metadata.json``.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        member = self._names.get(f"extra/{name}")
        if member is None:
            raise ArtifactError(f"{self.path}: holds no {name}; the file was not written by mlff.export")
        if self._zip.getinfo(member).file_size > _LARGEST_TEXT:
            raise ArtifactError(f"{self.path}: {name} is implausibly large; the file was not written by mlff.export")
        try:
            return self._zip.read(member).decode()
        except READING_ERRORS as error:
            raise ArtifactError(f"{self.path}: {name} is damaged ({error})") from error


@contextmanager
def replaced_at_end(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and is removed otherwise.

    Raises:
        ArtifactError: the folder does not exist, or ``path`` is a folder.
    """
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder; give the path of a file")
    if not path.parent.is_dir():
        raise ArtifactError(f"the folder {path.parent} does not exist")
    with replacing(path) as temporary:
        yield temporary
