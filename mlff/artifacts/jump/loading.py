"""From a name or a file to a jump model."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import torch

from mlff.artifacts.container import SELF_TEST, Container
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.jump.loaded_jump import LoadedJump
from mlff.artifacts.jump.self_test import parse_jump_self_test
from mlff.artifacts.loaded_model import LoadedModel
from mlff.artifacts.loading import find_device, find_dtype, open_model
from mlff.artifacts.names import resolve
from mlff.artifacts.payloads import read_metadata

_KEPT = 4  # reopened models


def load_jump(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str | None = None,
    verify: bool = True,
) -> LoadedJump:
    """Load a jump model from a file written by :func:`mlff.export_jump`. No pickle in the file is executed.

    Args and errors as of :func:`mlff.load`, which opens potentials.
    """
    target = find_device(device)
    return open_jump(Container(resolve(name_or_path)), device=target, dtype=dtype, verify=verify)


def open_jump(
    container: Container, *, device: torch.device, dtype: torch.dtype | str | None = None, verify: bool = True
) -> LoadedJump:
    """The model in a container, see :func:`load_jump`."""
    metadata = read_metadata(container)
    if metadata.kind != "jump":
        raise ArtifactError(
            f"{container.path}: the model is of kind {metadata.kind!r}, and a jump model is needed; potentials have "
            "forces, but make no jumps: open them with mlff.load, or run them with md-drivers"
        )
    test = parse_jump_self_test(container.read_text(SELF_TEST), str(container.path))
    if verify:
        container.check_intact()
    chosen = find_dtype(metadata.dtype if dtype is None else dtype)
    model = LoadedJump(container, metadata, test, device=device, dtype=chosen)
    if verify:
        model.self_test()
    return model


def load_any(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str | None = None,
    verify: bool = True,
) -> LoadedModel | LoadedJump:
    """Load a model of whatever kind, for tools that show files; args and errors as of :func:`mlff.load`."""
    target = find_device(device)
    return _open_any(Container(resolve(name_or_path)), target, dtype, verify)


def reopen(path: str, sha256: str, device: str, dtype: str, *, verify: bool = False) -> LoadedModel | LoadedJump:
    """A loaded model again, from its file; ArtifactError if that is gone or has changed.

    A process keeps the last few, so that whoever gets many pickled copies, as the workers of a pool do, compiles one.
    """
    Container(Path(path)).check_same(sha256)
    return _reopened(path, sha256, device, dtype, verify)


@lru_cache(maxsize=_KEPT)
def _reopened(path: str, sha256: str, device: str, dtype: str, verify: bool) -> LoadedModel | LoadedJump:
    return _open_any(Container(Path(path)), find_device(device), dtype, verify)


def _open_any(
    container: Container, device: torch.device, dtype: torch.dtype | str | None, verify: bool
) -> LoadedModel | LoadedJump:
    if read_metadata(container).kind == "jump":
        return open_jump(container, device=device, dtype=dtype, verify=verify)
    return open_model(container, device=device, dtype=dtype, verify=verify)
