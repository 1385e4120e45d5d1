"""Opening the jump model that a driver is asked to use."""

from __future__ import annotations

import os

import torch

from md_drivers.common.models import default_device, moved
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
        return moved(model, device, dtype)
    if isinstance(model, LoadedModel):
        raise ValueError(f"{model.path.name} is a potential, which makes no jumps; a model of kind 'jump' is needed")
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"model must be a name, a path or a loaded jump model (mlff.load_jump), got {model!r}")
    return load_jump(model, device=device or default_device(), dtype=dtype)
