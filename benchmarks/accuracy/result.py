"""The record of one run: what was measured, and all that is needed to repeat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mlff.training.environment import RunPart


class ResultError(ValueError):
    """A result file that cannot be used; the message names the file."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Errors(_Section):
    """Errors on one test set, in meV, meV/atom and meV/Å (forces per component; fixed atoms as in training).

    Energies are totals of a structure, as the literature on molecules gives them, and per atom.
    """

    structures: int
    atoms: int
    energy_mae: float
    energy_rmse: float
    energy_per_atom_mae: float
    energy_per_atom_rmse: float
    forces_mae: float
    forces_rmse: float


class Budget(_Section):
    """Epochs done out of those of the recipe, and the limits that were asked for (``max_minutes``, ``max_epochs``)."""

    kind: Literal["full", "reduced"]
    epochs: int
    epochs_of_recipe: int
    max_minutes: float | None
    max_epochs: int | None


class Training(_Section):
    """Of the run: steps, wall time with its validations and resumes, parameters of the model, best validation."""

    steps: int
    wall_minutes: float
    parameters: int
    best_validation: dict[str, float]


class Hardware(_Section):
    """Where the run was made; ``gpu`` is null where it ran on the processor."""

    machine: str
    gpu: str | None
    threads: int


class Result(_Section):
    """A result file.

    ``commit`` is that of the code when the run (or its last resume) started, ``clean`` whether nothing was changed
    since, in any part; both are null outside of a checkout. ``parts``: the start and the resumes; empty in results from
    before these were kept. ``config`` is the whole training configuration, files by name; ``data`` gives their SHA-256.
    """

    format: Literal[1] = 1
    recipe: str
    molecule: str | None
    dens: bool
    seed: int
    date: str
    commit: str | None
    clean: bool | None
    hardware: Hardware
    versions: dict[str, str]
    budget: Budget
    training: Training
    parts: tuple[RunPart, ...] = ()
    tests: dict[str, Errors]
    data: dict[str, str]
    config: dict[str, Any]


def load_results(folder: Path) -> list[Result]:
    """All result files of a folder, by name; none where there is no folder.

    Raises:
        ResultError: a file that is no result of this version.
    """
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            results.append(Result.model_validate_json(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "whole file"
            raise ResultError(f"{path}: not a result of benchmarks.accuracy ({field}: {first['msg']})") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ResultError(f"{path}: cannot be read ({error})") from error
    return results
