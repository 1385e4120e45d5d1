"""Trained potentials from the files of a run, and weights to start from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mlff.artifacts import load
from mlff.potential.config import PotentialConfig
from mlff.potential.potential import Potential
from mlff.training.checkpointing import load_model
from mlff.training.run_folder import has_weights


@dataclass(frozen=True)
class InitialWeights:
    """Tensors to start from, by the names of ``Potential.state_dict()``, and what they were made for.

    Attributes:
        species: atomic numbers.
        energy: whether the energy was learned.
    """

    tensors: dict[str, Tensor]
    species: tuple[int, ...]
    energy: bool = True


def load_trained(source: Path) -> tuple[Potential, dict[str, Any]]:
    """The potential in a run folder or a weights file and its metadata, see ``mlff.training.Task.load_trained``."""
    return load_model(source, lambda about: Potential(PotentialConfig.model_validate(json.loads(about["model"]))))


def read_initial_weights(source: Path) -> InitialWeights:
    """Weights to start a training from, see ``mlff.training.Task.read_initial``."""
    if has_weights(source):
        potential, _ = load_trained(source)
        return InitialWeights(dict(potential.state_dict()), potential.config.species, potential.config.energy)
    model = load(source)
    tensors, metadata = dict(model.program().state_dict()), model.metadata
    return InitialWeights(tensors, tuple(metadata.species), "energy" in metadata.outputs)
