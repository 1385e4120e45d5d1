"""What an exported jump model says about the run it comes from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlff.equijump.training.config import JumpTrainingConfig
from mlff.proteins.geometry import GeometryReference
from mlff.proteins.residues import RESIDUE_NAMES
from mlff.proteins.validity import GeometryCheck
from mlff.training.config import read_config
from mlff.training.run_folder import RunFolder
from mlff.trajectories import SystemData, load_dataset, provenance

_MOST_FRAMES = 20_000  # of each system, for the mean geometry
_GROWING = ("frames", "sha256")  # what changes when trajectories are made longer
_SELF_TEST_ATOMS = 30  # heavy atoms of structures that are small enough to be stored
logger = logging.getLogger(__name__)


def about_trained(
    source: Path, saved: Mapping[str, Any], self_test: int, data: Sequence[Path] | None = None
) -> dict[str, Any]:
    """Arguments of the export of a run folder or a weights file, see ``mlff.training.Task.exportable``.

    Args:
        source: run folder or weights file.
        saved: what the weights say, see ``load_trained_jump``.
        self_test: at most so many small structures of the data are stored.
        data: of the run, where they have moved.
    """
    folder = RunFolder.of(source)
    config = read_config(JumpTrainingConfig, folder.config) if folder.config.exists() else None
    systems = _training_systems(config, data)
    if not systems:
        logger.warning(
            "the data of the run are not here (see --data): the file does not say which residues and conditions it was "
            "trained on, and holds no geometry to judge frames by"
        )
    metadata = {"training_data": _training_data(saved, systems), "extra": {"best_validation": saved["best"]}}
    if config is not None:
        metadata["training_config"] = config.portable()
    small = [s for s in systems if s.layout.topology.n_atoms <= _SELF_TEST_ATOMS][: min(1, self_test)]
    clouds = [s.layout.cloud(s.atoms[0].double()) for s in small]
    return {"metadata": metadata | _facts(systems), "self_test_frames": clouds}


def _training_systems(config: JumpTrainingConfig | None, folders: Sequence[Path] | None) -> list[SystemData]:
    """Systems with trajectories to train on; none where the data are gone."""
    if folders is None:
        if config is None or not all(folder.exists() for folder in config.data.folders):
            return []
        folders = config.data.folders
    return [s for s in load_dataset(folders) if any(t.split == "train" for t in s.trajectories)]


def _training_data(saved: Mapping[str, Any], systems: list[SystemData]) -> list[dict[str, Any]]:
    """As the run recorded them; the data may have more frames by now, or be gone."""
    now = provenance(systems)
    if "training_data" not in saved:  # weights of an older version: what has been added since is not known
        return [{field: value for field, value in about.items() if field not in _GROWING} for about in now]
    recorded: list[dict[str, Any]] = saved["training_data"]
    if now and now != recorded:
        logger.warning(
            "the data have changed since the training: the file has the frame counts of the run, but residues, "
            "conditions and mean geometry of the data as they are"
        )
    return recorded


def _facts(systems: list[SystemData]) -> dict[str, Any]:
    """What the metadata say of the training data."""
    if not systems:
        return {}
    conditions: list[dict[str, Any]] = []
    for system in systems:
        known = system.conditions.model_dump(exclude_none=True)
        if known and known not in conditions:
            conditions.append(known)
    frames = [(system.layout, _thinned(system)) for system in systems]
    geometry = GeometryReference.of(frames)
    valid = np.concatenate([GeometryCheck(layout, geometry)(atoms).valid for layout, atoms in frames])
    tokens = sorted({token for system in systems for token in system.layout.residues.tolist()})
    return {
        "residues": [RESIDUE_NAMES[token] for token in tokens],
        "sequences": list(dict.fromkeys(system.sequence for system in systems)),
        "conditions": conditions,
        "geometry": geometry.model_dump(mode="json"),
        "invalid_share": float(1.0 - valid.mean()),
    }


def _thinned(system: SystemData) -> Any:
    """[F,M,3] in Å, training frames, evenly thinned out."""
    frames = torch.cat([t.atoms for t in system.trajectories if t.split == "train"])
    return frames[:: max(1, len(frames) // _MOST_FRAMES)].numpy()
