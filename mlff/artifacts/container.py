"""The file around a model: a zip archive whose members are read and checked before any of it is given to torch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO

from mlff.artifacts.errors import ArtifactError, ArtifactNotFoundError
from mlff.support.errors import printable
from mlff.support.files import replacing, sha256_of

METADATA = "metadata.json"
SELF_TEST = "self_test.json"
#: SHA-256 of the program with its weights, and of the other two texts. Detects damage; whoever forges a file forges it.
DIGESTS = "sha256.json"
NOT_A_MODEL = "not a model file: models written by mlff.export are TorchScript archives"
# What zipfile raises for members that are damaged, encrypted or beyond the end of the file.
READING_ERRORS = (zipfile.BadZipFile, zlib.error, ValueError, OverflowError, EOFError, RuntimeError)
_LARGEST_TEXT = 256 * 2**20  # bytes; a larger metadata member is no metadata
_MOST_MEMBERS, _LONGEST_NAME = 100_000, 400
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
        trust: whether its program may do anything.
        otherwise: what to say of a file that is none.
        members: paths inside of the archive, without its top folder.
        sizes: of members in bytes.
        compressed: whether any is.
    """

    def __init__(self, path: Path, *, trust: bool = False, otherwise: str = NOT_A_MODEL) -> None:
        """Read a file.

        Raises:
            ArtifactNotFoundError: there is no such file.
            ArtifactError: the file cannot be read, is not a whole zip archive, or would take implausibly much memory.
        """
        self.path, self.trust, self.otherwise = path, trust, otherwise
        try:
            self.data = path.read_bytes()
        except FileNotFoundError as error:
            raise ArtifactNotFoundError(f"{path}: no such file") from error
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(self.data))
            # Not is_dir, which falls over empty names.
            members = [m for m in self._zip.infolist() if not (m.filename.endswith("/") and m.file_size == 0)]
        except READING_ERRORS as error:
            raise ArtifactError(f"{path}: {damage(self.data) or otherwise}") from error
        self._check_sizes(members)
        wrong = next((member.filename for member in members if not _is_plain(member)), None)
        if wrong is not None:
            raise ArtifactError(f"{path}: {otherwise}, and none has a member {wrong[:_LONGEST_NAME]!a}")
        # torch puts everything below one folder, whose name is free, and does not tell upper from lower case.
        names = {member.filename.casefold() for member in members}
        if len(names) < len(members) or len({name.partition("/")[0] for name in names}) != 1:
            raise ArtifactError(f"{path}: {otherwise}, and none has two folders or one member twice")
        self._members = {member.filename.partition("/")[2]: member for member in members}
        self.members = frozenset(self._members)
        self.sizes = {name: member.file_size for name, member in self._members.items()}
        self.compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)

    def _check_sizes(self, members: list[zipfile.ZipInfo]) -> None:
        """Judge by the table of members; nothing is inflated for it."""
        if len(members) > _MOST_MEMBERS or any(member.compress_type not in _METHODS for member in members):
            raise ArtifactError(f"{self.path}: {self.otherwise}")
        compressed = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
        stored = [member for member in members if member.compress_type == zipfile.ZIP_STORED]
        inflated = sum(member.file_size for member in compressed)
        if sum(member.file_size for member in stored) > len(self.data):
            raise ArtifactError(f"{self.path}: its members say to be larger than the file; it is damaged")
        if inflated > _LARGEST_TEXT:
            raise ArtifactError(
                f"{self.path}: its compressed members would take {inflated:,} bytes, which is implausibly large: "
                "torch compresses none"
            )

    @cached_property
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

    def read(self, name: str) -> bytes:
        """Bytes of a member, compared with its checksum.

        Raises:
            ArtifactError: it is damaged.
        """
        try:
            return self._zip.read(self._members[name])
        except READING_ERRORS as error:
            where = f"the file is damaged at {self._members[name].filename} ({printable(str(error))})"
            raise ArtifactError(f"{self.path}: {where}; copy or download it again") from error

    def check_digests(self) -> None:
        """Compare the file with the SHA-256 that it states, where it does; files of earlier versions do not.

        Raises:
            ArtifactError: they differ.
        """
        if f"extra/{DIGESTS}" not in self.members:
            return
        found = digests({name: self.read(name) for name in self.members})
        try:
            stated = json.loads(self.read_text(DIGESTS))
        except ValueError:
            stated = None
        for part, digest in found.items():
            if not isinstance(stated, dict) or stated.get(part) != digest:
                raise ArtifactError(
                    f"{self.path}: the {part} is not what the file was written with (SHA-256); it is damaged or changed"
                )

    def read_text(self, name: str) -> str:
        """Text of an extra file, such as ``metadata.json``.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        member = f"extra/{name}"
        if member not in self.members:
            raise ArtifactError(f"{self.path}: holds no {name}; the file was not written by mlff.export")
        if self._members[member].file_size > _LARGEST_TEXT:
            raise ArtifactError(f"{self.path}: {name} is implausibly large; the file was not written by mlff.export")
        try:
            return self.read(member).decode()
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{self.path}: {name} is damaged ({error})") from error


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Whether all readers of zip archives see the same name, and the same bytes, for a member."""
    name = member.filename
    parts = name.split("/")
    plain = name.isascii() and name.isprintable() and "\\" not in name and name == member.orig_filename
    stored = member.compress_type != zipfile.ZIP_STORED or member.file_size == member.compress_size
    return plain and stored and len(name) <= _LONGEST_NAME and len(parts) > 1 and not {"", ".", ".."} & set(parts)


def digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of the parts of a file, from the bytes of its members."""
    program = hashlib.sha256()
    for name in sorted(contents):
        if not name.startswith("extra/"):
            program.update(f"{name}\n{len(contents[name])}\n".encode() + contents[name])
    texts = {name: contents.get(f"extra/{name}", b"") for name in (METADATA, SELF_TEST)}
    found = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    return {"program": program.hexdigest(), **found}


def pack(contents: Iterable[tuple[str, bytes]], file: IO[bytes]) -> None:
    """Write an archive as torch reads it, of members by name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
        for name, content in contents:
            target.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    file.seek(0)


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
