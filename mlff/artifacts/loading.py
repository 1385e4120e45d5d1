"""From a name or a file to a model."""

from __future__ import annotations

import os

import torch

from mlff.artifacts.container import SELF_TEST, Container
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.loaded_model import LoadedModel
from mlff.artifacts.names import resolve
from mlff.artifacts.payloads import read_metadata
from mlff.artifacts.self_test import DTYPES, parse_self_test


def load(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str | None = None,
    verify: bool = True,
) -> LoadedModel:
    """Load a potential from a file written by :func:`mlff.export`. No pickle in the file is executed.

    Jump models are opened by :func:`mlff.load_jump`.

    Args:
        name_or_path: a shipped name (see :func:`mlff.available`), a file, or a folder with a ``model.pt``.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        dtype: ``torch.float32`` or ``torch.float64``, or their names; None for the one in the file.
        verify: check the integrity of the file and repeat its self-test on this device in this dtype.

    Raises:
        ArtifactNotFoundError: no such name or file.
        ArtifactError: the file is damaged, not a potential or from a newer version; a device that is not there; a
            self-test that fails.
        ValueError: another dtype.
    """
    target = find_device(device)
    path = resolve(name_or_path)
    return open_model(Container(path), device=target, dtype=dtype, verify=verify)


def open_model(
    container: Container, *, device: torch.device, dtype: torch.dtype | str | None = None, verify: bool = True
) -> LoadedModel:
    """The model in a container, see :func:`load`."""
    metadata = read_metadata(container)
    if metadata.kind != "potential":
        raise ArtifactError(
            f"{container.path}: the model is of kind {metadata.kind!r}, and a potential is needed; jump models have no "
            "energy: open them with mlff.load_jump, or run them with equijump rollout"
        )
    test = parse_self_test(container.read_text(SELF_TEST), str(container.path))
    if verify:
        container.check_intact()
    chosen = find_dtype(metadata.dtype if dtype is None else dtype)
    model = LoadedModel(container, metadata, test, device=device, dtype=chosen)
    if verify:
        model.self_test()
    return model


def find_device(device: torch.device | str) -> torch.device:
    """The device that is meant, GPUs with their index.

    Without it "cuda" would be another GPU in other threads, whose current device is their own, than where the model is.

    Raises:
        ArtifactError: not a CPU or CUDA device, or not there.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ArtifactError(f"{device!r} is no device; use 'cpu', 'cuda' or 'cuda:<index>'") from error
    if found.type not in ("cpu", "cuda"):
        raise ArtifactError(f"models run on 'cpu' and 'cuda', not on {found.type!r}")
    if found.type == "cuda":
        if not torch.cuda.is_available():
            raise ArtifactError(
                f"device {str(found)!r} was asked for, but torch {torch.__version__} sees no CUDA GPU; use device='cpu'"
            )
        if found.index is not None and found.index >= torch.cuda.device_count():
            raise ArtifactError(
                f"device {str(found)!r} was asked for, but there are {torch.cuda.device_count()} CUDA GPUs"
            )
        if found.index is None:
            found = torch.device("cuda", torch.cuda.current_device())
    return found


def find_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """The dtype that is meant.

    Raises:
        ValueError: neither float32 nor float64.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"models compute in float32 or float64, not in {name}")
    return DTYPES[name]
