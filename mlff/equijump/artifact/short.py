"""``mlff.export`` and ``mlff.load`` with the types of jump models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mlff.artifacts import ArtifactError, export, load
from mlff.equijump.artifact.loaded import LoadedJump
from mlff.equijump.model import JumpModel
from mlff.proteins import TensorCloud
from mlff.proteins.geometry import GeometryReference


def export_jump(
    model: JumpModel,
    path: str | os.PathLike[str],
    *,
    residues: Sequence[str] = (),
    sequences: Sequence[str] = (),
    conditions: Sequence[Mapping[str, str | float]] = (),
    geometry: GeometryReference | None = None,
    invalid_share: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    self_test_clouds: Sequence[TensorCloud] = (),
    dtype: torch.dtype | str | None = None,
) -> Path:
    """Write a jump model to one file, see :func:`mlff.export`.

    Args:
        model, path, metadata, dtype: as there.
        residues, sequences, conditions, geometry, invalid_share: what is known of the training data, see
            :class:`JumpMetadata`.
        self_test_clouds: single frames [N] that are stored with a jump each; small ones are always added.
    """
    of_data = {
        "residues": list(residues),
        "sequences": list(sequences),
        "conditions": [dict(entry) for entry in conditions],
        "geometry": None if geometry is None else geometry.model_dump(mode="json"),
        "invalid_share": invalid_share,
    }
    about = {**(metadata or {}), **of_data}
    return export(model, path, metadata=about, self_test_frames=self_test_clouds, dtype=dtype)


def load_jump(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str | None = None,
    verify: bool = True,
) -> LoadedJump:
    """Load a jump model, see :func:`mlff.load`.

    Raises:
        ArtifactError: also for a model of another kind.
    """
    model = load(name_or_path, device=device, dtype=dtype, verify=verify)
    if not isinstance(model, LoadedJump):
        raise ArtifactError(
            f"{model.path}: the model is of kind {model.metadata.kind!r}, and a jump model is needed; potentials have "
            "forces, but make no jumps: open them with mlff.load, or run them with md-drivers"
        )
    return model
