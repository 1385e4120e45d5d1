"""A whole data set: shards made by worker processes, then the files of its parts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlff.sampling.folder import SETTINGS, check_settings, holds_data, making_data
from mlff.sampling.packages import require_packages
from mlff.sampling.peptides.config import PeptideDataConfig, dump_config, load_config
from mlff.sampling.peptides.output import write_parts
from mlff.sampling.peptides.shards import has_dipoles, make_shard, write_shard
from mlff.sampling.residues import capped_name
from mlff.sampling.workers import count, run_jobs
from mlff.support.errors import InputError, RunError

_LOG = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def generate(
    config: PeptideDataConfig,
    folder: Path,
    *,
    workers: int = 1,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a data set in a folder, or go on with one. The files do not depend on interruptions or `workers`.

    Args:
        config: settings; a folder keeps those it was begun with.
        folder: created if missing.
        workers: processes of one thread each.
        on_progress: called with (frames done, frames in all).
        should_stop: looked at several times a second.
        details: further entries of ``provenance.json``.

    Returns:
        the content of ``provenance.json``.

    Raises:
        Interrupted: `should_stop` said so; the same call continues.
        InputError: a missing package, a folder of other settings or without dipole moments, or as `make_shard`.
        RunError: a worker that died, or as `make_shard`.
        OSError: a file cannot be written.
    """
    require_packages()
    with making_data(folder):
        shards = _open_folder(config, folder)
        pending = [sequence for sequence in config.peptides if not shards[sequence].exists()]
        total = len(config.peptides) * config.frames_per_peptide

        def done(sequence: str) -> None:
            pending.remove(sequence)
            _LOG.info("%s done", capped_name(sequence))

        run_jobs(
            _work,
            lambda running: [sequence for sequence in pending if sequence not in running],
            lambda sequence: (config, sequence, shards[sequence]),
            workers=workers,
            made=total - len(pending) * config.frames_per_peptide,
            on_done=done,
            on_look=lambda made: on_progress(made, total) if on_progress is not None else None,
            should_stop=should_stop,
        )
        return write_parts(config, shards, folder, details or {})


def _open_folder(config: PeptideDataConfig, folder: Path) -> dict[str, Path]:
    """Paths of the shards by sequence, in a folder that holds data of these settings or none."""
    if holds_data(folder):
        check_settings(folder, load_config(folder / SETTINGS) == config)
    else:
        dump_config(config, folder / SETTINGS)
    (folder / "shards").mkdir(exist_ok=True)
    shards = {sequence: folder / "shards" / f"{capped_name(sequence)}.npz" for sequence in config.peptides}
    older = [path.name for path in shards.values() if path.exists() and not has_dipoles(path)]
    if older:
        raise InputError(
            f"{folder}: {len(older)} of its shards are of a version without dipole moments ({older[0]}); "
            "go on in a new folder, or delete these shards to have them made again"
        )
    return shards


def _work(config: PeptideDataConfig, sequence: str, path: Path) -> None:
    try:
        write_shard(make_shard(config, sequence, count), path)
    except (InputError, RunError) as error:
        raise type(error)(f"{capped_name(sequence)}: {error}") from error
