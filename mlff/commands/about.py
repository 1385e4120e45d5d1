"""What an exported file says about the run it comes from."""

from __future__ import annotations

import json
from typing import Any

import ase

from mlff.commands.common import error_console
from mlff.data import load_splits
from mlff.training import RunFolder, TrainingConfig


def self_test_frames(config: TrainingConfig | None, count: int) -> list[ase.Atoms]:
    """Structures of the test part (else validation, else training), spread over it; none where the data are gone."""
    if config is None or count == 0:
        return []
    if not all(path.exists() for path in config.data.files):
        error_console.print("the data of the run are not here; the self-test holds small structures only")
        return []
    splits = load_splits(config.data)
    part = splits.test or splits.val or splits.train
    # Spread over the part, so that the frames differ.
    step = max(1, len(part) // count)
    return [frame.atoms for frame in part[::step][:count]]


def training_data(folder: RunFolder) -> list[dict[str, Any]]:
    """Name, SHA-256 and number of training frames of each data file; empty without a record."""
    if not folder.data_record.exists():
        return []
    record = json.loads(folder.data_record.read_text(encoding="utf-8"))
    used = [entry["file"] for entry in record["split"]["train"]]
    return [
        {"name": file["name"], "sha256": file["sha256"], "frames": used.count(file["name"])}
        for file in record["files"]["files"]
    ]


def errors_on_test_frames(folder: RunFolder) -> dict[str, Any] | None:
    """Number of test structures and the errors on them; None before the report."""
    path = folder.report / "metrics.json"
    if not path.exists():
        return None
    report = json.loads(path.read_text(encoding="utf-8"))
    return {"structures": report["structures"], "errors": report["errors"]}
