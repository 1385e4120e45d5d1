"""A whole data set: shards made by worker processes, then the files of its parts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, wait
from pathlib import Path
from typing import Any

from mlff.sampling.errors import GenerationStopped, PeptideError
from mlff.sampling.packages import require_packages
from mlff.sampling.peptides.config import PeptideDataConfig, dump_config, load_config
from mlff.sampling.peptides.output import write_parts
from mlff.sampling.peptides.shards import make_shard, write_shard
from mlff.sampling.residues import capped_name
from mlff.sampling.workers import LOOK_EVERY, count, worker_pool

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
        GenerationStopped: `should_stop` said so; the same call continues.
        PeptideError: a missing package, a folder of other settings, a worker that died, or as `make_shard`.
        OSError: a file cannot be written.
    """
    require_packages()
    shards = _open_folder(config, folder)
    pending = [sequence for sequence in config.peptides if not shards[sequence].exists()]
    if pending:
        done = (len(config.peptides) - len(pending)) * config.frames_per_peptide
        _make_shards(config, {name: shards[name] for name in pending}, workers, done, on_progress, should_stop)
    return write_parts(config, shards, folder, details or {})


def _open_folder(config: PeptideDataConfig, folder: Path) -> dict[str, Path]:
    """Paths of the shards by sequence, in a folder that holds data of these settings or none."""
    settings = folder / "config.yaml"
    if settings.exists():
        if load_config(settings) != config:
            raise PeptideError(
                f"{folder}: holds data of other settings (its config.yaml); choose another folder or delete this one"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise PeptideError(f"{folder}: is not empty and holds no data of this command; choose another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        dump_config(config, settings)
    (folder / "shards").mkdir(exist_ok=True)
    return {sequence: folder / "shards" / f"{capped_name(sequence)}.npz" for sequence in config.peptides}


def _make_shards(
    config: PeptideDataConfig,
    shards: dict[str, Path],
    workers: int,
    done: int,
    on_progress: Progress | None,
    should_stop: Callable[[], bool],
) -> None:
    total = len(config.peptides) * config.frames_per_peptide
    with worker_pool(min(workers, len(shards)), done, PeptideError) as pool:
        futures = {pool.submit(_work, config, name, path) for name, path in shards.items()}
        while futures:
            finished, futures = wait(futures, LOOK_EVERY, FIRST_EXCEPTION)
            for future in finished:
                _LOG.info("%s done", future.result())
            if on_progress is not None:
                on_progress(pool.made, total)
            if should_stop():
                raise GenerationStopped


def _work(config: PeptideDataConfig, sequence: str, path: Path) -> str:
    try:
        write_shard(make_shard(config, sequence, count), path)
    except PeptideError as error:
        raise PeptideError(f"{capped_name(sequence)}: {error}") from error
    return capped_name(sequence)
