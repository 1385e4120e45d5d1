"""Trained jump models from the files of a run, and weights to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from mlff.artifacts import load_jump
from mlff.equijump.model import JumpConfig, JumpModel
from mlff.training.checkpointing import exported_tensors, load_model
from mlff.training.run_folder import has_weights


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
    return exported_tensors(load_jump(source).path)


def _built(metadata: dict[str, str]) -> JumpModel:
    return JumpModel(JumpConfig.model_validate_json(metadata["jump"]), [float(x) for x in json.loads(metadata["lags"])])
