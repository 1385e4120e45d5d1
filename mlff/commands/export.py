"""``mlff export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlff.support.console import error_console
from mlff.support.kinds import find
from mlff.training.run_folder import kind_of, weights_file


@dataclass(frozen=True)
class Export:
    """What the author says of a model, and how it is to be written.

    Attributes:
        name, description, licence: for the metadata.
        self_test: inputs of the run's data that are kept as a self-test.
        data: folders or files of the training data, where they have moved.
        changes: fields of the model's configuration that do not depend on the training, by dotted name.
        uncertainty: let the file compute how uncertain it is; None: where kind and data allow it.
    """

    name: str | None = None
    description: str | None = None
    licence: str | None = None
    self_test: int = 3
    data: Sequence[Path] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: bool | None = None


def run_export(source: Path, output: Path, options: Export) -> None:
    """Export the averaged weights of a run of any kind with its configuration, data hashes and errors."""
    weights_file(source)
    task = find(kind_of(source)).training_task
    asked = () if options.uncertainty is None else (options.uncertainty,)  # kinds of others may not know it
    model, about = task.exportable(source, options.self_test, options.data, options.changes, *asked)
    given = {"name": options.name, "description": options.description, "licence": options.licence}
    about["metadata"] |= {key: value for key, value in given.items() if value is not None}
    from mlff.artifacts import export

    export(model, output, **about)
    error_console.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)
