"""``mlff export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase

from mlff.artifacts import ArtifactError, export
from mlff.commands.common import WRONG_INPUT, error_console, load_trained, report_error, set_up_logging
from mlff.data import DataError, load_splits
from mlff.training import ConfigError, RunFolder, StateError, TrainingConfig, load_config


def run_export(source: Path, output: Path, description: str | None, licence: str | None, frames: int) -> int:
    """Export the averaged weights of a run with its configuration, data hashes and errors; returns the exit status.

    Structures for the self-test come from the test part (else validation, else training) of the run's data, if these
    can still be read.
    """
    set_up_logging()
    try:
        potential, metadata = load_trained(source)
        folder = RunFolder(source if source.is_dir() else source.parent)
        config = load_config(folder.config) if folder.config.exists() else None
        about: dict[str, Any] = {"description": description, "licence": licence}
        about["training_data"] = _training_data(folder)
        about["training_config"] = None if config is None else _portable(config)
        about["extra"] = {"best_validation": metadata["best"], "test": _test_errors(folder)}
        known = {name: value for name, value in about.items() if value is not None}
        export(potential, output, metadata=known, self_test_frames=_frames(config, frames))
    except (ArtifactError, ConfigError, DataError, StateError, OSError) as error:
        report_error(error)
        return WRONG_INPUT
    error_console.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)
    return 0


def _frames(config: TrainingConfig | None, count: int) -> list[ase.Atoms]:
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


def _portable(config: TrainingConfig) -> dict[str, Any]:
    """The configuration without folders of this machine."""
    content = config.model_dump(mode="json", exclude={"output", "threads"})
    data = content["data"]
    for name in ("paths", "train", "val", "test"):
        data[name] = [Path(path).name for path in data[name]]
    if data["isolated_atoms"] is not None:
        data["isolated_atoms"] = Path(data["isolated_atoms"]).name
    for name, value in (data["split"] or {}).items():
        if name in ("train", "val", "test") and isinstance(value, str):
            data["split"][name] = Path(value).name
    if content["init_from"] is not None:
        content["init_from"] = Path(content["init_from"]).name
    return content


def _training_data(folder: RunFolder) -> list[dict[str, Any]]:
    if not folder.data_record.exists():
        return []
    record = json.loads(folder.data_record.read_text(encoding="utf-8"))
    used = [entry["file"] for entry in record["split"]["train"]]
    return [
        {"name": file["name"], "sha256": file["sha256"], "frames": used.count(file["name"])}
        for file in record["files"]["files"]
    ]


def _test_errors(folder: RunFolder) -> dict[str, Any] | None:
    path = folder.report / "metrics.json"
    if not path.exists():
        return None
    report = json.loads(path.read_text(encoding="utf-8"))
    return {"structures": report["structures"], "errors": report["errors"]}
