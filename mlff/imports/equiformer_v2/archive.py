"""Reading a file of ``torch.save`` without executing any of it."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlff.artifacts.container import Container, pack
from mlff.artifacts.errors import ArtifactError, ArtifactNotFoundError
from mlff.support.errors import first_line
from mlff.support.pickles import check_tensors


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], str]:
    """Content of a checkpoint, tensors and plain values, and the SHA-256 of the file.

    Raises:
        ArtifactNotFoundError: there is no such file.
        ArtifactError: not a whole archive of ``torch.save``, one with objects other than tensors and plain values, or
            with tensors that are larger than their bytes.
    """
    container = _open(Path(path))
    try:
        # torch gets the members that were checked: its reader may find others than Python's in a crafted archive.
        with tempfile.TemporaryFile() as file, torch.serialization.safe_globals(_plain_types()):
            pack(((name, container.read(name)) for name in sorted(container.members)), file)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ArtifactError(f"{path}: {_reason(str(error))}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: holds a {type(content).__name__}, not the dictionary of a training checkpoint")
    return content, container.sha256


def _plain_types() -> list[Any]:
    """Plain values that torch does not read by itself: numpy scalars, as metrics may be."""
    scalar = np.float64(0).__reduce__()[0]
    # numpy 2 moved the function; files name its place at the time
    scalars = [(scalar, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")]
    kinds = [np.dtype(code) for code in (*np.typecodes["AllInteger"], *np.typecodes["Float"], "?")]
    return [*scalars, np.dtype, *{type(kind) for kind in kinds}]


def _open(path: Path) -> Container:
    """The archive, after its members and the sizes of its tensors were checked; nothing of it is executed."""
    if not path.exists():
        raise ArtifactNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder; give the checkpoint file in it")
    container = Container(path, otherwise="not a checkpoint of torch.save")
    if "constants.pkl" in container.members:
        raise ArtifactError(f"{path}: is an exported model (TorchScript), not a training checkpoint")
    if "data.pkl" not in container.members or container.compressed:
        raise ArtifactError(f"{path}: a zip archive, but not one that torch.save wrote")
    try:
        check_tensors(container.read("data.pkl"), "data", container.sizes)
    except ArtifactError:
        raise
    except Exception as error:  # parsers raise many kinds for crafted bytes
        raise ArtifactError(f"{path}: cannot be read as tensors and plain values: {first_line(error)}") from error
    return container


def _reason(message: str) -> str:
    """What torch's message means, without its advice to load the file all the same."""
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is None:
        return "cannot be read as tensors and plain values: it is damaged, or holds pickled Python objects"
    return (
        f"holds pickled Python objects ({found[1]}), which could run any code; nothing of it was executed. Save the "
        "file again with config, state_dict, normalizers, elementrefs and ema only, as tensors and plain values"
    )
