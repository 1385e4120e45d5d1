"""Trained jump models from the files of a run, and weights to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mlff.equijump.artifact import load_jump
from mlff.equijump.config import JumpConfig
from mlff.equijump.model import JumpModel
from mlff.support.errors import ConfigError
from mlff.support.settings import apply_changes, validated
from mlff.training.checkpointing import load_model
from mlff.training.run_folder import has_weights

_OF_SAMPLING = ("steps", "transport.exponential", "transport.churn", "transport.early")


def load_trained_jump(source: Path) -> tuple[JumpModel, dict[str, Any]]:
    """The jump model in a run folder or a weights file and its metadata, see ``mlff.training.Task.load_trained``.

    ``training_data`` is in the metadata unless an older version wrote the file.
    """
    model, about = load_model(source, _built)
    return model, about | {name: json.loads(about[name]) for name in ("training_data",) if name in about}


def read_initial_tensors(source: Path) -> dict[str, Tensor]:
    """Weights to start a training from, see ``mlff.training.Task.read_initial``."""
    if has_weights(source):
        return dict(load_trained_jump(source)[0].state_dict())
    return dict(load_jump(source).program().state_dict())


def resampled(model: JumpModel, changes: Mapping[str, Any]) -> JumpModel:
    """A model that is sampled otherwise: ``steps`` and fields of the transport that only sampling reads.

    Raises:
        ConfigError: other fields, or values that they cannot have.
    """
    fixed = sorted(set(changes) - set(_OF_SAMPLING))
    if fixed:
        raise ConfigError(f"--set {fixed[0]}: depends on the training; there are {', '.join(_OF_SAMPLING)}")
    content = model.config.model_dump()
    apply_changes(content, changes)
    config = validated(JumpConfig, content, "the model cannot be sampled like this")
    changed = JumpModel(config, list(model.lag_times)).to(next(model.parameters()).dtype)
    changed.load_state_dict(model.state_dict())
    return changed.eval()


def _built(metadata: dict[str, str]) -> JumpModel:
    return JumpModel(JumpConfig.model_validate_json(metadata["jump"]), [float(x) for x in json.loads(metadata["lags"])])
