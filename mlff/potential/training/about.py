"""What an exported potential says about the run it comes from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase

from mlff.data import DataConfig, load_splits
from mlff.potential.training.config import TrainingConfig
from mlff.training.config import read_config
from mlff.training.run_folder import RunFolder, read_json

logger = logging.getLogger(__name__)


def about_trained(
    source: Path, saved: Mapping[str, Any], self_test: int, data: Sequence[Path] | None = None
) -> dict[str, Any]:
    """Arguments of the export of a run folder or a weights file, see ``mlff.training.Task.exportable``.

    Structures for the self-test come from the test part (else validation, else training) of the run's data, if these
    can still be read. ``saved`` is what the weights say, see ``load_trained``.
    """
    folder = RunFolder.of(source)
    config = read_config(TrainingConfig, folder.config) if folder.config.exists() else None
    metadata: dict[str, Any] = {
        "training_data": training_data(folder),
        "extra": {"best_validation": saved["best"], "test": _errors_on_test_frames(folder)},
    }
    if config is not None:
        metadata["training_config"] = config.portable()
    moved = None if config is None else config.data.relocated(data or ())
    return {"metadata": metadata, "self_test_frames": _self_test_frames(moved, self_test)}


def training_data(folder: RunFolder) -> list[dict[str, Any]]:
    """Name, SHA-256 and number of training frames of each data file; empty without a record."""
    if not folder.data_record.exists():
        return []
    record = read_json(folder.data_record)
    used = [entry["file"] for entry in record["split"]["train"]]
    return [
        {"name": file["name"], "sha256": file["sha256"], "frames": used.count(file["name"])}
        for file in record["files"]["files"]
    ]


def _self_test_frames(data: DataConfig | None, count: int) -> list[ase.Atoms]:
    """Structures spread over a part; none where the data are gone."""
    if data is None or count == 0:
        return []
    if not all(path.exists() for path in data.files):
        logger.warning("the data of the run are not here (see --data); the self-test holds small structures only")
        return []
    splits = load_splits(data)
    part = splits.test or splits.val or splits.train
    # Spread over the part, so that the frames differ.
    step = max(1, len(part) // count)
    return [frame.atoms for frame in part[::step][:count]]


def _errors_on_test_frames(folder: RunFolder) -> dict[str, Any] | None:
    """Number of test structures and the errors on them; None before the report or without test frames."""
    report = read_json(folder.results) if folder.results.exists() else {}
    return {"structures": report["structures"], "errors": report["errors"]} if "errors" in report else None
