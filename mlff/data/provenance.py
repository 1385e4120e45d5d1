"""Which bytes a model was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mlff.support.errors import DataError
from mlff.support.files import sha256_of


@dataclass(frozen=True)
class DatasetFingerprint:
    """SHA-256 of source files, for model cards and artifact metadata; holds file names, not folders.

    Attributes:
        files: (name, SHA-256 of the bytes) in the order given.
        sha256: digest over the digests of the files, sorted, so that it does not depend on names or order.
    """

    files: tuple[tuple[str, str], ...]
    sha256: str

    def to_dict(self) -> dict[str, object]:
        """Plain types for JSON or YAML."""
        return {**asdict(self), "files": [{"name": name, "sha256": digest} for name, digest in self.files]}


def dataset_fingerprint(paths: Iterable[Path | str]) -> DatasetFingerprint:
    """SHA-256 of each file and of all together.

    Raises:
        DataError: a file cannot be read.
    """
    files = []
    for path in map(Path, paths):
        try:
            files.append((path.name, sha256_of(path)))
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", file=path, hint="check the path") from error
    combined = hashlib.sha256("\n".join(sorted(digest for _, digest in files)).encode()).hexdigest()
    return DatasetFingerprint(tuple(files), combined)
