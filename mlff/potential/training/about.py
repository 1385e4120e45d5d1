"""What an exported potential says about the run it comes from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import torch

from mlff.artifacts import load
from mlff.artifacts.metadata import AUTHOR_FIELDS
from mlff.data import DataSplits, GraphDataset, load_splits
from mlff.potential.artifact.loaded import LoadedModel
from mlff.potential.domain import Domain
from mlff.potential.potential import Potential
from mlff.potential.training.config import TrainingConfig
from mlff.potential.training.domain import domain_of
from mlff.potential.training.uncertainty import with_uncertainty
from mlff.training.config import read_config
from mlff.training.notes import load_notes
from mlff.training.run_folder import RunFolder, read_json

logger = logging.getLogger(__name__)


def splits_of(source: Path, data: Sequence[Path] | None = None) -> DataSplits | None:
    """The data of a run folder or a weights file, where they have moved to ``data``; None: they are not here."""
    folder = RunFolder.of(source)
    config = read_config(TrainingConfig, folder.config).data.relocated(data or ()) if folder.config.exists() else None
    if config is not None and all(path.exists() for path in config.files):
        return load_splits(config)
    logger.warning(
        "the data of the run are not here (see --data): the self-test gets no structures of them, the domain is known "
        "only if it was recorded, and the file does not compute its uncertainty"
    )
    return None


def exported_form(potential: Potential, splits: DataSplits | None) -> Potential:
    """The potential with its uncertainty, where there are training data with energies."""
    if splits is None or not potential.config.energy:
        return potential
    if not all("energy" in frame.labels for frame in (*splits.train, *splits.val)):
        logger.warning("some frames have no energy, so the file does not compute its uncertainty")
        return potential
    return with_uncertainty(potential, splits.train, splits.val)


def about_trained(
    source: Path, trained: tuple[Potential, Mapping[str, Any]], self_test: int, splits: DataSplits | None
) -> dict[str, Any]:
    """Arguments of the export of a run folder or a weights file, see ``mlff.training.Task.exportable``.

    Structures for the self-test come from the test part (else validation, else training) of the run's data, if these
    can still be read. A published folder has no records of its run; there the model beside the weights says what it
    said before, and keeps its structures; notes beside it are read anew. The domain is that of the record, else it is
    measured on the data.
    ``trained`` is what ``load_trained`` gives.
    """
    folder = RunFolder.of(source)
    config = read_config(TrainingConfig, folder.config) if folder.config.exists() else None
    potential, saved = trained
    record = read_json(folder.data_record) if folder.data_record.exists() else {}
    earlier = None if record else _earlier(folder, potential)
    metadata: dict[str, Any] = {
        "training_data": training_data(folder),
        "extra": {"best_validation": saved["best"], "test": _errors_on_test_frames(folder)},
    }
    if config is not None:
        metadata["training_config"] = config.portable()
    if earlier is not None:
        said = earlier.metadata.model_dump(mode="json")
        metadata = {name: said[name] for name in (*AUTHOR_FIELDS, "domain") if said[name] is not None}
        if (path := folder.root / "notes.yaml").exists():  # may have been corrected since
            notes = load_notes(path)
            metadata |= {"description": notes.description, "licence": notes.licence}
            metadata.setdefault("extra", {})["not_for"] = list(notes.not_for)
    structures = _spread(splits, self_test) if earlier is None else earlier.examples
    if metadata.setdefault("domain", record.get("domain")) is None and config is not None and splits is not None:
        metadata["domain"] = _domain(config, splits, metadata["training_data"])
    return {"metadata": metadata, "self_test_frames": structures}


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


def domain_of_trained(source: Path, potential: Potential) -> Domain | None:
    """What a run recorded, or the model beside published weights says; None: neither knows."""
    folder = RunFolder.of(source)
    if folder.data_record.exists():
        record = read_json(folder.data_record).get("domain")
        return None if record is None else Domain.model_validate(record)
    earlier = _earlier(folder, potential)
    return None if earlier is None else earlier.metadata.domain


def _earlier(folder: RunFolder, potential: Potential) -> LoadedModel | None:
    """The exported model beside published weights; None where there is none, or it is one of other weights."""
    path = folder.root / "model.pt"
    if not path.exists():
        return None
    model: LoadedModel = load(path)
    written = model.program().state_dict()
    if any(name not in written or not torch.equal(written[name], x) for name, x in potential.named_parameters()):
        logger.warning("%s: made from other weights; what it says about them is not taken over", path)
        return None
    return model


def _domain(config: TrainingConfig, splits: DataSplits, recorded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measured on the training part of the data, which are named where they are not those of the training."""
    hashes = {entry["name"]: entry["sha256"] for entry in recorded}
    other = [name for name, sha256 in splits.fingerprint.files if hashes.get(name) != sha256]
    source = f"measured on files that differ from those of the training: {', '.join(other)}" if other else None
    model = config.model
    limits, strict = (model.cutoff, model.max_neighbors), model.max_neighbors_strict
    data = GraphDataset(splits.train, *limits, config.data.cache, max_neighbors_strict=strict)
    return domain_of(data, config.trained_on, source).model_dump(mode="json")


def _spread(splits: DataSplits | None, count: int) -> list[ase.Atoms]:
    """Structures spread over a part, so that they differ; none where the data are gone."""
    if splits is None or count == 0:
        return []
    part = splits.test or splits.val or splits.train
    step = max(1, len(part) // max(1, count))
    return [frame.atoms for frame in part[::step][:count]]


def _errors_on_test_frames(folder: RunFolder) -> dict[str, Any] | None:
    """Number of test structures and the errors on them; None before the report or without test frames."""
    report = read_json(folder.results) if folder.results.exists() else {}
    return {"structures": report["structures"], "errors": report["errors"]} if "errors" in report else None
