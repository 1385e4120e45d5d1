"""What is written about trajectories: ``system.json`` of a generated system, or a file of the user about his own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mlff.support.errors import DataError
from mlff.support.files import write_text
from mlff.support.settings import Section, read_mapping, validated

_MOST_BYTES = 1 << 24  # of a description, which names every trajectory: some 70 000

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

DATASET_FILE = "dataset.json"
SYSTEM_FILE = "system.json"
SCHEMA_VERSION = 1


class Conditions(Section):
    """How the dynamics ran; None where it is not known."""

    force_field: str | None = None
    solvent: str | None = None
    temperature: float | None = Field(default=None, gt=0, description="K")
    friction: float | None = Field(default=None, ge=0, description="1/ps")
    time_step: float | None = Field(default=None, gt=0, description="fs")
    hydrogen_mass: float | None = Field(default=None, gt=0, description="amu")
    constraints: str | None = None


class TrajectoryRecord(Section):
    """One trajectory: a file that MDTraj reads, relative to the folder of the description."""

    file: Path
    split: Split | None = Field(default=None, description="default: that of the system")
    frames: int | None = Field(default=None, ge=1, description="so many are read; default: all")
    sha256: str | None = Field(default=None, description="compared, unless the file has more frames by now")
    start: str | None = Field(default=None, description="where it began")
    cut: str | None = Field(default=None, description="why it is shorter than it ran")


class SystemRecord(Section):
    """Trajectories of one molecule under one condition.

    A system whose ``split`` is not ``train`` is a sequence that training never sees; its trajectories all have that
    split. Raises `pydantic.ValidationError`, which names the field.
    """

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    name: str = Field(default="", description="default: the name of the file or folder")
    sequence: str | None = Field(default=None, description="for readers; what counts is the topology")
    split: Split = "train"
    topology: Path = Field(description="PDB file or another topology that MDTraj reads")
    atoms: str | None = Field(default=None, description="MDTraj selection of the protein; default: all atoms")
    frame_interval: float = Field(gt=0, description="ps between two frames; compared with the times in the files")
    ignore_times: bool = Field(default=False, description="the times in the files are wrong")
    trajectories: tuple[TrajectoryRecord, ...] = Field(min_length=1)
    conditions: Conditions = Conditions()
    complete: bool = True
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("trajectories", mode="before")
    @classmethod
    def _bare_names(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [{"file": entry} if isinstance(entry, str) else entry for entry in value]

    @field_validator("trajectories")
    @classmethod
    def _each_once(cls, value: tuple[TrajectoryRecord, ...]) -> tuple[TrajectoryRecord, ...]:
        files = [entry.file for entry in value]
        repeated = sorted({str(file) for file in files if files.count(file) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is listed more than once")
        return value

    @model_validator(mode="after")
    def _held_out(self) -> SystemRecord:
        for entry in self.trajectories:
            if self.split != "train" and entry.split not in (None, self.split):
                raise ValueError(
                    f"{entry.file} has the split {entry.split!r}, but its whole system is held out as {self.split!r}"
                )
        return self


def read_record(path: Path) -> SystemRecord:
    """The description of a system in a JSON or YAML file.

    Raises:
        DataError: unreadable, not JSON or YAML, unknown or bad field; one line for each field.
    """
    record = validated(SystemRecord, read_mapping(path, error=DataError, most=_MOST_BYTES), str(path), error=DataError)
    default = path.parent.resolve().name if path.name == SYSTEM_FILE else path.stem
    return record if record.name else record.model_copy(update={"name": default})


def write_record(record: SystemRecord, path: Path) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(record.model_dump(mode="json"), indent=1) + "\n")
