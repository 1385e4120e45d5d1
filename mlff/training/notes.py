"""What a model card needs and no run can know: origin and licence of the data, purpose and limits of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mlff.training.config import ConfigError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataNotes(_Section):
    """A data file: its name without folder, what is in it, where it is from."""

    file: Text
    title: Text
    origin: Text
    licence: Text
    citation: Text
    level_of_theory: Text | None = None
    remarks: tuple[Text, ...] = ()


class ModelNotes(_Section):
    """A model: what it is for, under which licence, trained on which files, and what it must not be used for."""

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
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        needed = ", ".join(name for name, field in ModelNotes.model_fields.items() if field.is_required())
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); notes hold: {needed}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    try:
        return ModelNotes.model_validate({} if content is None else content)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            field = ".".join(str(part) for part in item["loc"]) or "(whole file)"
            reason = "is missing" if item["type"] == "missing" else str(item["msg"])
            lines.append(f"{path}: {field}: {reason}")
        raise ConfigError("\n".join(lines)) from error


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
