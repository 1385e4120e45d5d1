"""``mlff export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlff.artifacts import ArtifactError, export
from mlff.commands.about import errors_on_test_frames, self_test_frames, training_data
from mlff.commands.common import WRONG_INPUT, error_console, load_trained, report_error, set_up_logging
from mlff.data import DataError
from mlff.training import ConfigError, RunFolder, StateError, load_config
from mlff.training.portable import portable_config


def run_export(source: Path, output: Path, description: str | None, licence: str | None, frames: int) -> int:
    """Export the averaged weights of a run with its configuration, data hashes and errors; returns the exit status.

    Structures for the self-test come from the test part (else validation, else training) of the run's data, if these
    can still be read.
    """
    set_up_logging()
    try:
        potential, metadata = load_trained(source)
        folder = RunFolder(source if source.is_dir() else source.parent)
        config = load_config(folder.config) if folder.config.exists() else None
        about: dict[str, Any] = {"description": description, "licence": licence}
        about["training_data"] = training_data(folder)
        about["training_config"] = None if config is None else portable_config(config)
        about["extra"] = {"best_validation": metadata["best"], "test": errors_on_test_frames(folder)}
        known = {name: value for name, value in about.items() if value is not None}
        export(potential, output, metadata=known, self_test_frames=self_test_frames(config, frames))
    except (ArtifactError, ConfigError, DataError, StateError, OSError) as error:
        report_error(error)
        return WRONG_INPUT
    error_console.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)
    return 0
