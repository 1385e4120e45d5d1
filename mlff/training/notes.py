"""What a model card needs and no run can know: origin and licence of the data, purpose and limits of the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from mlff.support.errors import ConfigError
from mlff.support.settings import Section, read_mapping, validated

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class DataNotes(Section):
    """A data file or data set: its name without folder, what is in it, where it is from."""

    file: Text
    title: Text
    origin: Text
    licence: Text
    citation: Text
    level_of_theory: Text | None = None
    remarks: tuple[Text, ...] = ()


class ModelNotes(Section):
    """A model: what it is for, under which licence, trained on which data, and what it must not be used for."""

    name: Text | None = None
    description: Text
    licence: Text
    data: tuple[DataNotes, ...] = Field(min_length=1)
    not_for: tuple[Text, ...] = Field(min_length=1)


def load_notes(path: Path) -> ModelNotes:
    """Read notes from YAML.

    Raises:
        ConfigError: unreadable, not YAML, or one line for each field that is missing, unknown or wrong.
    """
    if not path.is_file():
        needed = ", ".join(name for name, field in ModelNotes.model_fields.items() if field.is_required())
        raise ConfigError(f"{path}: cannot be read (no such file); notes hold: {needed}")
    return validated(ModelNotes, read_mapping(path), str(path))


def match_notes(notes: ModelNotes, files: list[str], path: Path) -> dict[str, DataNotes]:
    """Notes by data file, in the order of ``files``.

    Raises:
        ConfigError: a file without notes, or notes on a file that the run did not use; ``path`` names the notes.
    """
    known = {entry.file: entry for entry in notes.data}
    missing = [name for name in files if name not in known]
    if missing:
        raise ConfigError(f"{path}: data: no entry for {', '.join(missing)}, which the run was trained on")
    unused = [name for name in known if name not in files]
    if unused:
        raise ConfigError(f"{path}: data: {', '.join(unused)} is not a file of this run; its files: {', '.join(files)}")
    return {name: known[name] for name in files}


def add_notes(
    metadata: dict[str, Any], name: str, notes: ModelNotes, data: Mapping[str, DataNotes], commit: str | None
) -> None:
    """Write what notes say into the metadata of a model file.

    Args:
        metadata: with entries ``training_data`` and ``extra``; changed in place.
        name: of the model.
        notes: on it.
        data: notes by name of the data.
        commit: of the source that trained it.
    """
    metadata |= {"name": name, "description": notes.description, "licence": notes.licence}
    metadata["extra"] |= {"not_for": list(notes.not_for), "git_commit": commit}
    for entry in metadata["training_data"]:
        said = data[entry["name"]]
        entry |= {"title": said.title, "source": said.origin, "licence": said.licence, "citation": said.citation}
        if said.level_of_theory is not None:
            entry["level_of_theory"] = said.level_of_theory
