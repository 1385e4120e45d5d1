"""Opening the jump model that a driver is asked to use."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from md_drivers.models import default_device, dtype_name
from mlff.artifacts import LoadedJump, LoadedModel, load_jump

JumpSource = str | os.PathLike[str] | LoadedJump


def open_jump_model(
    model: JumpSource, device: str | torch.device | None = None, dtype: str | torch.dtype | None = None
) -> LoadedJump:
    """The jump model that is meant, on a device and in a dtype.

    Args:
        model: name of a shipped checkpoint, path of an exported file, or a loaded model.
        device: ``None`` leaves a loaded model where it is and puts others on the GPU if there is one.
        dtype: ``None`` keeps the model's own.

    Raises:
        TypeError: ``model`` is none of these.
        ValueError: it is not there, no jump model, or ``device`` or ``dtype`` is not supported.
    """
    if isinstance(model, LoadedJump):
        given = (str(model.device), dtype_name(model.dtype))
        wanted = (str(device or given[0]), dtype_name(dtype or given[1]))
        return model if wanted == given else load_jump(model.path, device=wanted[0], dtype=wanted[1])
    if isinstance(model, LoadedModel):
        raise ValueError(f"{model.path.name} is a potential, which makes no jumps; a model of kind 'jump' is needed")
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"model must be a name, a path or a loaded jump model (mlff.load_jump), got {model!r}")
    return load_jump(model, device=device or default_device(), dtype=dtype)


def jump_model_name(model: LoadedJump) -> str:
    """Name of a loaded model: as its author named it, else the folder of ``<name>/model.pt``, else the file's stem."""
    path = Path(model.path)
    return model.metadata.name or (path.parent.name if path.name == "model.pt" else path.stem)
