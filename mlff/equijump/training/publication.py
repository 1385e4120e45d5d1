"""A finished run of a jump model as a published model."""

from __future__ import annotations

from pathlib import Path

from mlff.artifacts import export
from mlff.equijump.training.about import about_trained
from mlff.equijump.training.config import JumpTrainingConfig
from mlff.equijump.training.trained import load_trained_jump
from mlff.training.card import trained_card
from mlff.training.checkpointing import finished_report
from mlff.training.config import read_config
from mlff.training.notes import add_notes, load_notes, match_notes
from mlff.training.run_folder import RunFolder
from mlff.training.task import Publication


def collect(root: Path, notes_path: Path, name: str | None, folder: str, self_test: int) -> Publication:
    """Everything that a published jump model consists of, see ``mlff.training.Task.publication``.

    The notes name each system of the data in their field ``file``.
    """
    report = finished_report(RunFolder(root))
    config = read_config(JumpTrainingConfig, RunFolder(root).config)
    notes = load_notes(notes_path)
    data = match_notes(notes, report["systems"], notes_path)
    chosen = name or notes.name or folder
    model, saved = load_trained_jump(root)
    about = about_trained(root, saved, self_test)
    add_notes(about["metadata"], chosen, notes, data, report.get("git_commit"))
    facts = {"model": model, "systems": {entry["name"]: entry for entry in report["training_data"]}}
    return Publication(
        card=trained_card("equijump/training/model_card.md.j2", chosen, notes, data, config, report, facts),
        config=about["metadata"]["training_config"],
        export=lambda path: export(model, path, **about),
        files={},
    )
