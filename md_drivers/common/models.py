"""Opening the model that a driver is asked to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import torch

from mlff.artifacts import Loaded, load, reopen
from mlff.artifacts.names import MODEL_FILE, pretrained
from mlff.support.errors import InputError

if TYPE_CHECKING:
    from mlff.artifacts.loaded import Engine
    from mlff.equijump.artifact import LoadedJump
    from mlff.potential.artifact import LoadedModel

Model = str | os.PathLike[str] | Loaded
_L = TypeVar("_L", bound=Loaded)

_RUN_BY = {"potential": "md-drivers", "jump": "equijump rollout"}


def open_potential(
    model: Model,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    *,
    engine: Engine | None = None,
    user: str = "a force",
    energy: bool = True,
) -> LoadedModel:
    """The potential that is meant, on a device and in a dtype.

    Args:
        model: name of a pretrained model, path of an exported file, or a loaded model.
        device: ``None`` leaves a loaded model where it is and puts others on the GPU if there is one.
        dtype: ``None`` keeps the model's own.
        engine: of :func:`mlff.load`; ``None`` leaves a loaded model as it is, and is ``auto`` for others.
        user: what needs it, for messages.
        energy: it needs energy and forces.

    Raises:
        TypeError: ``model`` is none of these.
        ValueError: it is not there, not a potential, or ``device``, ``dtype`` or ``engine`` is not supported.
    """
    opened = cast("LoadedModel", _open("potential", model, device, dtype, user, engine))
    if energy:
        check_energy(opened, user)
    return opened


def check_energy(model: LoadedModel, user: str) -> None:
    """Raise InputError for a potential that was trained on other quantities than energy and forces alone."""
    if "energy" not in model.metadata.outputs:
        raise InputError(
            f"{user} needs energy and forces; {model.path} computes {', '.join(model.metadata.outputs)} only"
        )


def open_jump_model(
    model: Model, device: str | torch.device | None = None, dtype: str | torch.dtype | None = None
) -> LoadedJump:
    """The jump model that is meant; arguments and errors as of :func:`open_potential`."""
    return cast("LoadedJump", _open("jump", model, device, dtype, "a jump"))


def _open(
    kind: str,
    model: object,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    user: str,
    engine: Engine | None = None,
) -> Loaded:
    if isinstance(model, (str, os.PathLike)):
        model = load(model, device=device or default_device(), dtype=dtype, engine=engine or "auto")
    if not isinstance(model, Loaded):
        raise TypeError(f"model must be a name, a path or a loaded model (mlff.load), got {model!r}")
    found = model.metadata.kind
    if found != kind:
        run_by = f", which runs with {_RUN_BY[found]}" if found in _RUN_BY else ""
        raise InputError(f"{user} needs a model of kind {kind!r}, and {model.path} is of kind {found!r}{run_by}")
    return moved(model, device, dtype, engine)


def moved(
    model: _L, device: str | torch.device | None, dtype: str | torch.dtype | None, engine: Engine | None = None
) -> _L:
    """A loaded model on a device, in a dtype, by an engine (``None``: as it is), from its file again if that differs.

    ``cuda`` without an index is the GPU where the model is already. Raises ArtifactError if the file has changed.
    """
    stays = device is None or str(device) in (str(model.device), model.device.type)
    wanted = dtype_name(dtype or model.dtype)
    engine = engine or model.asked_engine
    if stays and wanted == dtype_name(model.dtype) and engine == model.asked_engine:
        return model
    there = str(model.device if stays else device)
    again = reopen(str(model.path), model.sha256, there, wanted, verify=True, trust=model.trust, engine=engine)
    return cast(_L, again)


def model_name(model: Loaded) -> str:
    """Name of a loaded model: as its author named it, else its pretrained name, else that of its file."""
    path = Path(model.path)
    of_file = path.name if path.name == MODEL_FILE else path.stem  # `model` alone would say nothing
    return model.metadata.name or next((name for name, file in pretrained().items() if file == path), of_file)


def unknown_species(model: LoadedModel, found: str) -> str:
    """What to say of elements that a model was not trained on."""
    known = ", ".join(model.metadata.symbols)
    return f"species not known to model {model_name(model)!r}: {found}; it was trained on {known}"


def dtype_name(dtype: str | torch.dtype) -> str:
    """``float32`` for ``torch.float32``, in words or not."""
    return str(dtype).removeprefix("torch.")


def default_device() -> str:
    """``cuda`` where torch sees a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
