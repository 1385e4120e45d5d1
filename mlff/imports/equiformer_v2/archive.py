"""Reading a file of ``torch.save`` without executing any of it."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from mlff.artifacts.container import READING_ERRORS, damage
from mlff.artifacts.errors import ArtifactError, ArtifactNotFoundError


def read_archive(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of a checkpoint: tensors (mapped from the file, so treat them as read-only) and plain values.

    Raises:
        ArtifactNotFoundError: there is no such file.
        ArtifactError: not a whole archive of ``torch.save``, or one with objects other than tensors and plain values.
    """
    _check_members(Path(path))
    try:
        with torch.serialization.safe_globals(_plain_types()):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ArtifactError(f"{path}: {_reason(str(error))}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: holds a {type(content).__name__}, not the dictionary of a training checkpoint")
    return content


def _plain_types() -> list[Any]:
    """Plain values that torch does not read by itself: numpy scalars, as metrics may be."""
    scalar = np.float64(0).__reduce__()[0]
    # numpy 2 moved the function; files name its place at the time
    scalars = [(scalar, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")]
    kinds = [np.dtype(code) for code in (*np.typecodes["AllInteger"], *np.typecodes["Float"], "?")]
    return [*scalars, np.dtype, *{type(kind) for kind in kinds}]


def _check_members(path: Path) -> None:
    if not path.exists():
        raise ArtifactNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder; give the checkpoint file in it")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # torch maps the bytes of a member as they lie in the file; what is compressed is not even inflated
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            damaged = archive.testzip() if stored else None
    except READING_ERRORS as error:
        with path.open("rb") as file:
            raise ArtifactError(f"{path}: {damage(file.read(64)) or 'not a checkpoint of torch.save'}") from error
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from error
    if damaged is not None:
        raise ArtifactError(f"{path}: the file is damaged at {damaged}; copy or download it again")
    names = {str(PurePosixPath(*PurePosixPath(member.filename).parts[1:])) for member in members}
    if "constants.pkl" in names:
        raise ArtifactError(f"{path}: is an exported model (TorchScript), not a training checkpoint")
    if "data.pkl" not in names or not stored:
        raise ArtifactError(f"{path}: a zip archive, but not one that torch.save wrote")


def _reason(message: str) -> str:
    """What torch's message means, without its advice to load the file all the same."""
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is None:
        return "cannot be read as tensors and plain values: it is damaged, or holds pickled Python objects"
    return (
        f"holds pickled Python objects ({found[1]}), which could run any code; nothing of it was executed. Save the "
        "file again with config, state_dict, normalizers, elementrefs and ema only, as tensors and plain values"
    )
