"""What a run saves to continue exactly, and the weights it leaves behind; tensors and plain values only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mlff.support.errors import ArtifactError, ConfigError, first_line
from mlff.support.files import replacing
from mlff.support.pickles import check_saved
from mlff.training.optimizers import is_within
from mlff.training.run_folder import RunFolder, report_of, unfinished, weights_file

_FORMAT = 3
N = TypeVar("N", bound=nn.Module)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state atomically: a kill leaves either the old file or the new one.

    Raises:
        OSError: it cannot be written, for example because the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        try:
            torch.save({"format": _FORMAT, **state}, temporary)
        except RuntimeError as error:  # torch's archive writer, on a full disk
            raise OSError(f"{path}: cannot be written ({first_line(error)})") from error


def load_state(path: Path) -> dict[str, Any]:
    """Read a state without executing pickles (``weights_only=True``), on the CPU.

    Raises:
        ArtifactError: unreadable file or unknown format.
    """
    try:
        check_saved(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ArtifactError(f"{path}: not a readable training state ({error})") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ArtifactError(f"{path}: not a training state of this version (format {_FORMAT})")
    return state


def save_weights(path: Path, module: nn.Module, metadata: dict[str, str]) -> None:
    """Write parameters and buffers as safetensors with string metadata, atomically; raises OSError if that fails."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"{path}: cannot be written ({first_line(error)})") from error


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; raises ArtifactError if it is missing or damaged."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path}: not a readable safetensors file ({error})") from error


def load_model(source: Path, build: Callable[[dict[str, str]], N]) -> tuple[N, dict[str, Any]]:
    """The model with the averaged weights of a run folder or a weights file, in evaluation mode, and its metadata.

    Args:
        source: run folder or weights file.
        build: the model that metadata describe, with any weights; ValueError and KeyError: they describe none.

    Raises:
        ConfigError: the file does not describe a model of this kind and version.
        ArtifactError: the weights are missing or damaged.
    """
    path = weights_file(source)
    tensors, metadata = load_weights(path)
    try:
        model = build(metadata)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path}: its metadata describe no possible model of this kind ({error})") from error
    for name, parameter in model.named_parameters():
        if name in tensors:
            parameter.data = parameter.data.to(tensors[name].dtype)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ConfigError(f"{path}: its tensors do not fit its configuration ({error})") from error
    return model.eval(), {**metadata, "best": json.loads(metadata.get("best", "{}"))}


def finished_report(folder: RunFolder) -> dict[str, Any]:
    """The report of a run, once it describes the weights.

    Raises:
        ConfigError: as of :func:`report_of`, or a run that has gone on since its report.
        ArtifactError: damaged weights or state.
    """
    report = report_of(folder)
    steps = load_state(folder.state)["step"] if folder.state.is_file() else report["steps"]
    best = json.loads(load_weights(folder.weights)[1].get("best", "{}"))
    if steps != report["steps"] or best != report["best_validation"]:
        raise unfinished(folder, "it has gone on since its report was written")
    return report


def load_matching(
    module: nn.Module, tensors: dict[str, Tensor], frozen: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Copy the tensors whose name and shape fit into ``module``, converted to its dtypes.

    Returns:
        (names of the module that got no value, names of ``tensors`` that found no place).

    Raises:
        ConfigError: a tensor of the ``frozen`` parts got no value.
    """
    own = module.state_dict()
    fitting = {name: value for name, value in tensors.items() if name in own and own[name].shape == value.shape}
    random = [name for name in own if name not in fitting and any(is_within(name, part) for part in frozen)]
    if random:
        raise ConfigError(f"freeze: {random[0]} would stay random, as no tensor of the initial weights fits; train it")
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)
    return [name for name in own if name not in fitting], [name for name in tensors if name not in fitting]
