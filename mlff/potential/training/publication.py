"""A finished run of a potential as a published model."""

from __future__ import annotations

from pathlib import Path

from mlff.artifacts import export
from mlff.potential.training.about import about_trained, exported_form, splits_of
from mlff.potential.training.card import model_card
from mlff.potential.training.finished import read_finished_run
from mlff.potential.training.trained import load_trained
from mlff.training.notes import add_notes, load_notes, match_notes
from mlff.training.task import Publication


def collect(root: Path, notes_path: Path, name: str | None, folder: str, self_test: int) -> Publication:
    """Everything that a published potential consists of, see ``mlff.training.Task.publication``."""
    run = read_finished_run(root)
    notes = load_notes(notes_path)
    data = match_notes(notes, list(run.split.files), notes_path)
    chosen = name or notes.name or folder
    figures = sorted(path.name for path in run.folder.report.glob("*.png"))
    potential, saved = load_trained(root)
    splits = splits_of(root)
    about = about_trained(root, (potential, saved), self_test, splits)
    metadata = about["metadata"]
    add_notes(metadata, chosen, notes, data, run.report.get("git_commit"))
    for entry in metadata["training_data"]:
        entry["frames_by_part"] = {part: run.counts(part).get(entry["name"], 0) for part in run.split.parts}
    for atoms in about["self_test_frames"]:
        atoms.info.clear()  # structures only: what else the data say of them stays with the data
    return Publication(
        card=model_card(chosen, folder, run, notes, data, figures),
        config=metadata["training_config"],
        export=lambda path: export(exported_form(potential, splits), path, **about),
        files={"split.json": run.split.to_json()},
    )
