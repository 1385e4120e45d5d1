"""Text of structure files, compressed or not, that does not swell beyond measure."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlff.support.errors import DataError
from mlff.support.files import most_bytes

_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def read_text(path: Path, errors: str = "strict") -> str:
    """The text of a file in UTF-8, compressed by gzip, bzip2 or xz or not, as its first bytes say.

    Args:
        errors: what to do about bytes that are no UTF-8, as of ``bytes.decode``.

    Raises:
        DataError: unreadable, truncated, damaged, or many times larger than the file when unpacked.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(6)
            opener = next((known for magic, known in _OPENERS.items() if head.startswith(magic)), None)
            if opener is None:
                return (head + stream.read()).decode("utf-8-sig", errors)
        limit = most_bytes(path.stat().st_size)
        with opener(path, "rb") as unpacked:
            raw = unpacked.read(limit + 1)
        text = raw.decode("utf-8-sig", errors) if len(raw) <= limit else None
    except Exception as error:  # decompressors raise many kinds
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"cannot be read ({error.strerror})", file=path) from error
        reason = f"unreadable, truncated or damaged ({type(error).__name__}: {error})"
        raise DataError(reason[:200], file=path, hint="write or download it again") from error
    if text is None:
        hint = "unpack it yourself if it is what you expect"
        raise DataError(f"unpacks to more than {limit >> 20} MiB, many times its size", file=path, hint=hint)
    return text
