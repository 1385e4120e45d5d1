"""What an exported potential says about the run it comes from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase

from mlff.data import DataSplits, load_splits
from mlff.potential.potential import Potential
from mlff.potential.training.config import TrainingConfig
from mlff.potential.training.uncertainty import with_uncertainty
from mlff.training.config import read_config
from mlff.training.run_folder import RunFolder, read_json

logger = logging.getLogger(__name__)


def splits_of(source: Path, data: Sequence[Path] | None = None) -> DataSplits | None:
    """The data of a run folder or a weights file, where they have moved to ``data``; None: they are not here."""
    folder = RunFolder.of(source)
    config = read_config(TrainingConfig, folder.config).data.relocated(data or ()) if folder.config.exists() else None
    if config is not None and all(path.exists() for path in config.files):
        return load_splits(config)
    logger.warning(
        "the data of the run are not here (see --data): the self-test holds small structures only, and the file does "
        "not compute its uncertainty"
    )
    return None


def exported_form(potential: Potential, splits: DataSplits | None) -> Potential:
    """The potential with its uncertainty, where there are training data with energies."""
    if splits is None or not all("energy" in frame.labels for frame in (*splits.train, *splits.val)):
        return potential
    return with_uncertainty(potential, splits.train, splits.val)


def about_trained(source: Path, saved: Mapping[str, Any], self_test: int, splits: DataSplits | None) -> dict[str, Any]:
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
    return {"metadata": metadata, "self_test_frames": _self_test_frames(splits, self_test)}


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


def _self_test_frames(splits: DataSplits | None, count: int) -> list[ase.Atoms]:
    """Structures spread over a part; none where the data are gone."""
    if splits is None or count == 0:
        return []
    part = splits.test or splits.val or splits.train
    # Spread over the part, so that the frames differ.
    step = max(1, len(part) // count)
    return [frame.atoms for frame in part[::step][:count]]


def _errors_on_test_frames(folder: RunFolder) -> dict[str, Any] | None:
    """Number of test structures and the errors on them; None before the report or without test frames."""
    report = read_json(folder.results) if folder.results.exists() else {}
    return {"structures": report["structures"], "errors": report["errors"]} if "errors" in report else None
