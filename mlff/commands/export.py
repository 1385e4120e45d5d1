"""``mlff export``."""

from __future__ import annotations

from pathlib import Path

from mlff.artifacts import export
from mlff.kinds import find
from mlff.support.console import error_console
from mlff.training.run_folder import kind_of


def run_export(source: Path, output: Path, description: str | None, licence: str | None, frames: int) -> None:
    """Export the averaged weights of a run of any kind with its configuration, data hashes and errors."""
    task = find(kind_of(source)).training_task
    model, _ = task.load_trained(source)
    about = task.about(source, frames)
    given = {"description": description, "licence": licence}
    about["metadata"] |= {name: value for name, value in given.items() if value is not None}
    export(model, output, **about)
    error_console.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)
