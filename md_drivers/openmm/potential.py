"""Opening the model of a force."""

from __future__ import annotations

import os
import warnings

import torch

from md_drivers.ase_calculator import model_name
from mlff.artifacts import LoadedModel, available, load

Model = str | os.PathLike[str] | LoadedModel


def open_potential(model: Model, device: str | torch.device | None, dtype: str | torch.dtype | None) -> LoadedModel:
    """The potential that is meant, on a device and in a dtype.

    Args:
        model: name of a shipped checkpoint, path of an exported file, or a loaded model.
        device: ``None`` leaves a loaded model where it is and puts others on the GPU if there is one.
        dtype: ``None`` keeps the model's own.

    Raises:
        TypeError: ``model`` is none of these.
        ValueError: it is not there, not a potential, or ``device`` or ``dtype`` is not supported.
    """
    if isinstance(model, LoadedModel):
        given = (str(model.device), str(model.dtype).removeprefix("torch."))
        wanted = (str(device or given[0]), str(dtype or given[1]).removeprefix("torch."))
        loaded = model if wanted == given else load(model.path, device=wanted[0], dtype=wanted[1])
    elif isinstance(model, (str, os.PathLike)):
        loaded = load(model, device=device or default_device(), dtype=dtype)
    else:
        raise TypeError(f"model must be a name, a path or a loaded model (mlff.load), got {model!r}")
    kind = loaded.metadata.kind
    if kind != "potential":
        raise ValueError(
            f"model {model_name(loaded)!r} is of kind {kind!r}: a force needs a potential (jump models have no energy)"
        )
    return loaded


def warn_if_direct(model: LoadedModel) -> None:
    """Warn (UserWarning) where the forces of a model are not the derivative of its energy."""
    if not model.metadata.conservative:
        warnings.warn(
            f"model {model_name(model)!r} predicts forces directly: they are not the derivative of its energy. Total "
            "energy is not conserved, and whatever uses both (barostats, minimisation, free energies) is inconsistent",
            stacklevel=3,  # the caller of openmm_force
        )


def reference(model: Model, loaded: LoadedModel) -> str:
    """What finds the model again: a shipped name, which holds on any machine, else the absolute path of the file."""
    return model if isinstance(model, str) and model in available() else str(loaded.path)


def default_device() -> str:
    """``cuda`` where torch sees a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
