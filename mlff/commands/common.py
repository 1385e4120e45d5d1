"""Shared by the commands: exit codes, logging, reading trained weights."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from rich.console import Console
from rich.logging import RichHandler

from mlff.artifacts import available, load
from mlff.potential import Potential, PotentialConfig
from mlff.training.config import ConfigError
from mlff.training.folder import RunFolder
from mlff.training.state import InitialWeights, load_weights

FAILED = 1
WRONG_INPUT = 2

error_console = Console(stderr=True, soft_wrap=True, highlight=False)


def report_error(error: BaseException) -> None:
    """Print an error without a traceback."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    error_console.print(f"error: {text}", style="red", markup=False)


def set_up_logging() -> None:
    """Log lines of this package on standard error, above the progress bar if there is one."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    if error_console.is_terminal:
        handler = RichHandler(
            console=error_console, show_path=False, show_level=False, markup=False, log_time_format="%H:%M:%S"
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
        logging.getLogger().handlers = [handler]
    # Processes that the trainer starts for further devices stay silent.
    logging.getLogger("mlff").setLevel(logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.WARNING)
    # The trainer library greets and advertises at level INFO.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)


def load_trained(source: Path) -> tuple[Potential, dict[str, Any]]:
    """Potential with the averaged weights of a run folder or a weights file, in evaluation mode, and its metadata.

    Raises:
        ConfigError: the file does not describe a potential of this version.
        StateError: the weights are missing or damaged.
    """
    path = RunFolder(source).weights if source.is_dir() else source
    tensors, metadata = load_weights(path)
    try:
        config = PotentialConfig.model_validate(json.loads(metadata["model"]))
    except (KeyError, ValueError, ValidationError) as error:
        raise ConfigError(f"{path}: its metadata hold no configuration of a potential ({error})") from error
    try:
        potential = Potential(config)
    except ValueError as error:
        raise ConfigError(f"{path}: its metadata describe no possible potential ({error})") from error
    for name, parameter in potential.named_parameters():
        if name in tensors:
            parameter.data = parameter.data.to(tensors[name].dtype)
    try:
        potential.load_state_dict(tensors)
    except RuntimeError as error:
        raise ConfigError(f"{path}: its tensors do not fit its configuration ({error})") from error
    return potential.eval(), {**metadata, "best": json.loads(metadata.get("best", "{}"))}


def read_initial_weights(source: Path) -> InitialWeights:
    """Weights to start a training from: run folder, weights file, or exported model.

    Raises:
        ConfigError, StateError, ArtifactError: not there or not usable.
    """
    if not source.exists():
        names = ", ".join(available()) or "none"
        raise ConfigError(f"init_from: {source} does not exist, and is no name of a shipped model (these are: {names})")
    a_run = (source / "weights.safetensors").exists() or (source.is_dir() and not (source / "model.pt").exists())
    if a_run or source.suffix == ".safetensors":
        potential, _ = load_trained(source)
        return InitialWeights(dict(potential.state_dict()), potential.config.species)
    model = load(source)
    # A loaded model is frozen: its weights have become constants of the program. The archive still names them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        archive = torch.jit.load(str(model.path), map_location="cpu")
    return InitialWeights(dict(archive.state_dict()), tuple(model.metadata.species))


def print_errors(errors: dict[str, float]) -> None:
    """Errors of an evaluation, one line per quantity."""
    for name, unit in (("energy_per_atom", "meV/atom"), ("forces", "meV/Å"), ("stress", "meV/Å³")):
        if f"{name}_mae" in errors:
            mae, rmse = 1e3 * errors[f"{name}_mae"], 1e3 * errors[f"{name}_rmse"]
            label = name.replace("_", " ")
            error_console.print(f"{label}: MAE {mae:.2f}, RMSE {rmse:.2f} {unit}", markup=False)
