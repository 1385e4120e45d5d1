"""Opening the potential that a driver is asked to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar, cast

import torch

from mlff.artifacts import LoadedJump, LoadedModel, load, reopen

Model = str | os.PathLike[str] | LoadedModel
_Loaded = TypeVar("_Loaded", LoadedModel, LoadedJump)


def open_potential(
    model: Model, device: str | torch.device | None, dtype: str | torch.dtype | None, *, user: str = "a force"
) -> LoadedModel:
    """The potential that is meant, on a device and in a dtype.

    Args:
        model: name of a shipped checkpoint, path of an exported file, or a loaded model.
        device: ``None`` leaves a loaded model where it is and puts others on the GPU if there is one.
        dtype: ``None`` keeps the model's own.
        user: what needs it, for messages.

    Raises:
        TypeError: ``model`` is none of these.
        ValueError: it is not there, not a potential, or ``device`` or ``dtype`` is not supported.
    """
    if isinstance(model, LoadedModel):
        loaded = moved(model, device, dtype)
    elif isinstance(model, (str, os.PathLike)):
        loaded = load(model, device=device or default_device(), dtype=dtype)
    elif isinstance(model, LoadedJump):
        raise ValueError(f"{user} needs a potential, and {model.path} is of kind 'jump' (jump models have no energy)")
    else:
        raise TypeError(f"model must be a name, a path or a loaded model (mlff.load), got {model!r}")
    return loaded


def moved(model: _Loaded, device: str | torch.device | None, dtype: str | torch.dtype | None) -> _Loaded:
    """A loaded model on a device and in a dtype (``None``: as it is), from its file again where that differs.

    ``cuda`` without an index is the GPU where the model is already. Raises ArtifactError if the file has changed.
    """
    stays = device is None or str(device) in (str(model.device), model.device.type)
    wanted = dtype_name(dtype or model.dtype)
    if stays and wanted == dtype_name(model.dtype):
        return model
    there = str(model.device if stays else device)
    return cast(_Loaded, reopen(str(model.path), model.sha256, there, wanted, verify=True))


def model_name(model: LoadedModel | LoadedJump) -> str:
    """Name of a loaded model: as its author named it, else the folder of ``<name>/model.pt``, else the file's stem."""
    path = Path(model.path)
    return model.metadata.name or (path.parent.name if path.name == "model.pt" else path.stem)


def dtype_name(dtype: str | torch.dtype) -> str:
    """``float32`` for ``torch.float32``, in words or not."""
    return str(dtype).removeprefix("torch.")


def default_device() -> str:
    """``cuda`` where torch sees a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
