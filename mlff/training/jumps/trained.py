"""Trained jump models from the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlff.equijump.model import JumpConfig, JumpModel
from mlff.training.config import ConfigError
from mlff.training.folder import RunFolder
from mlff.training.state import load_weights


def load_trained_jump(source: Path) -> tuple[JumpModel, dict[str, Any]]:
    """The model with the averaged weights of a run folder or a weights file, in evaluation mode, and its metadata.

    ``training_data`` is in these unless an older version wrote the file.

    Raises:
        ConfigError: the file does not describe a jump model of this version.
        StateError: the weights are missing or damaged.
    """
    path = RunFolder(source).weights if source.is_dir() else source
    tensors, metadata = load_weights(path)
    try:
        config = JumpConfig.model_validate_json(metadata["jump"])
        lags = [float(lag) for lag in json.loads(metadata["lags"])]
        facts: dict[str, Any] = {
            name: json.loads(metadata[name]) for name in ("best", "training_data") if name in metadata
        }
    except (KeyError, ValueError, ValidationError) as error:
        raise ConfigError(f"{path}: its metadata hold no configuration of a jump model ({error})") from error
    model = JumpModel(config, lags)
    for name, parameter in model.named_parameters():
        if name in tensors:
            parameter.data = parameter.data.to(tensors[name].dtype)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ConfigError(f"{path}: its tensors do not fit its configuration ({error})") from error
    return model.eval(), {**metadata, "best": {}, **facts}
