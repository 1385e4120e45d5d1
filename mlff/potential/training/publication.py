"""A finished run of a potential as a published model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlff.artifacts import export
from mlff.potential.training.about import about_trained
from mlff.potential.training.card import model_card
from mlff.potential.training.finished import FinishedRun, read_finished_run
from mlff.potential.training.trained import load_trained
from mlff.training.notes import DataNotes, load_notes, match_notes
from mlff.training.task import Publication


def collect(root: Path, notes_path: Path, name: str | None, folder: str, self_test: int) -> Publication:
    """Everything that a published potential consists of, see ``mlff.training.Task.publication``."""
    run = read_finished_run(root)
    notes = load_notes(notes_path)
    data = match_notes(notes, list(run.split.files), notes_path)
    chosen = name or notes.name or folder
    figures = sorted(path.name for path in run.folder.report.glob("*.png"))
    about = about_trained(root, self_test)
    metadata = about["metadata"]
    metadata |= {"name": chosen, "description": notes.description, "licence": notes.licence}
    metadata["training_data"] = _provenance(run, data, metadata["training_data"])
    metadata["extra"] |= {"not_for": list(notes.not_for), "git_commit": run.report.get("git_commit")}
    for atoms in about["self_test_frames"]:
        atoms.info.clear()  # structures only: what else the data say of them stays with the data
    potential, _ = load_trained(root)
    return Publication(
        card=model_card(chosen, folder, run, notes, data, figures),
        config=metadata["training_config"],
        export=lambda path: export(potential, path, **about),
        files={"split.json": run.split.to_json()},
    )


def _provenance(run: FinishedRun, data: dict[str, DataNotes], entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for entry in entries:
        notes = data[entry["name"]]
        entry |= {"title": notes.title, "source": notes.origin, "licence": notes.licence, "citation": notes.citation}
        if notes.level_of_theory is not None:
            entry["level_of_theory"] = notes.level_of_theory
        entry["frames_by_part"] = {part: run.counts(part).get(entry["name"], 0) for part in run.split.parts}
    return entries
