"""``mlff publish``."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from mlff.artifacts import ArtifactError, export
from mlff.commands.about import errors_on_test_frames, self_test_frames, training_data
from mlff.commands.common import WRONG_INPUT, error_console, load_trained, report_error, set_up_logging
from mlff.data import DataError
from mlff.training import ConfigError, StateError
from mlff.training.card import CardInput, model_card
from mlff.training.finished import FinishedRun, read_finished_run
from mlff.training.notes import DataNotes, ModelNotes, load_notes, match_notes
from mlff.training.portable import portable_config

# bytes: beyond these the table of metrics stays away, and the whole folder is called large
_LARGEST_TABLE = 1_000_000
_LARGE = 20_000_000
_CONFIG_HEAD = """\
# The configuration this model was trained with. The data files are expected beside it; MODEL_CARD.md says where they
# are from. To train again: mlff train config.yaml -o run
"""


def run_publish(root: Path, output: Path, notes_path: Path | None, name: str | None, frames: int) -> int:
    """Write the folder of a published model; returns the exit status. Nothing is replaced before all is written."""
    set_up_logging()
    try:
        if output.resolve() == root.resolve():
            raise ConfigError(f"{output}: is the folder of the run; publish into another one")
        run = read_finished_run(root)
        notes_path = output / "notes.yaml" if notes_path is None else notes_path
        notes = load_notes(notes_path)
        data = match_notes(notes, list(run.split.files), notes_path)
        folder = output.resolve().name
        chosen = name or notes.name or folder
        created = not output.exists()
        output.mkdir(parents=True, exist_ok=True)
        try:
            # Inside of the target: same file system, and not taken for a shipped model by its name.
            with tempfile.TemporaryDirectory(prefix=".publish-", suffix=".tmp", dir=output) as text:
                temporary = Path(text)
                _write(temporary, run, notes, data, chosen, folder, frames)
                size = _replace(temporary, output)
        finally:
            if created and not any(output.iterdir()):
                output.rmdir()
    except (ArtifactError, ConfigError, DataError, StateError, OSError) as error:
        report_error(error)
        return WRONG_INPUT
    error_console.print(f"wrote {output} ({size / 1e6:.1f} MB); read {output / 'MODEL_CARD.md'}", markup=False)
    if size > _LARGE:
        error_console.print(f"note: models shipped with this project stay below {_LARGE / 1e6:.0f} MB", markup=False)
    return 0


def _write(
    target: Path,
    run: FinishedRun,
    notes: ModelNotes,
    data: dict[str, DataNotes],
    name: str,
    folder: str,
    frames: int,
) -> None:
    """All files of a publication, into an empty folder."""
    (target / "report").mkdir()
    figures = sorted(path.name for path in run.folder.report.glob("*.png"))
    for figure in figures:
        shutil.copyfile(run.folder.report / figure, target / "report" / figure)
    shutil.copyfile(run.folder.weights, target / "weights.safetensors")
    if run.folder.metrics.is_file() and run.folder.metrics.stat().st_size <= _LARGEST_TABLE:
        shutil.copyfile(run.folder.metrics, target / "metrics.csv")
    config = portable_config(run.config)
    text = _CONFIG_HEAD + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (target / "config.yaml").write_text(text, encoding="utf-8")
    (target / "split.json").write_text(run.split.to_json(), encoding="utf-8")
    card = model_card(CardInput(name, folder, run, notes, data, figures))
    (target / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    potential, saved = load_trained(run.folder.root)
    about: dict[str, Any] = {
        "name": name,
        "description": notes.description,
        "licence": notes.licence,
        "training_data": _provenance(run, data),
        "training_config": config,
        "extra": {
            "best_validation": saved["best"],
            "test": errors_on_test_frames(run.folder),
            "not_for": list(notes.not_for),
            "git_commit": run.report.get("git_commit"),
        },
    }
    structures = self_test_frames(run.config, frames)
    for atoms in structures:
        atoms.info.clear()  # structures only: what else the data say of them stays with the data
    export(potential, target / "model.pt", metadata=about, self_test_frames=structures)


def _provenance(run: FinishedRun, data: dict[str, DataNotes]) -> list[dict[str, Any]]:
    entries = []
    for entry in training_data(run.folder):
        notes = data[entry["name"]]
        entry |= {"title": notes.title, "source": notes.origin, "licence": notes.licence, "citation": notes.citation}
        if notes.level_of_theory is not None:
            entry["level_of_theory"] = notes.level_of_theory
        entry["frames_by_part"] = {part: run.counts(part).get(entry["name"], 0) for part in run.split.parts}
        entries.append(entry)
    return entries


def _replace(source: Path, target: Path) -> int:
    """Move the files of a publication into place, remove those of an earlier one; returns the bytes."""
    new = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    (target / "report").mkdir(exist_ok=True)
    old = [target / "metrics.csv", *(target / "report").glob("*.png")]
    for path in old:
        if path.relative_to(target) not in new:
            path.unlink(missing_ok=True)
    for path in new:
        os.replace(source / path, target / path)
    return sum((target / path).stat().st_size for path in new)
