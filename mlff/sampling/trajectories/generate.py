"""A whole data set: chunks made by worker processes, files made from them."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import torch

from mlff.sampling.errors import GenerationStopped
from mlff.sampling.packages import require_packages
from mlff.sampling.trajectories.assemble import assemble_system, trajectory_file, write_dataset
from mlff.sampling.trajectories.chunks import Group, groups_of, make_chunk
from mlff.sampling.trajectories.config import GenerationConfig, SystemConfig, dump_config, load_config
from mlff.sampling.trajectories.starts import molecule
from mlff.sampling.workers import LOOK_EVERY, count, worker_pool
from mlff.trajectories.errors import DataError
from mlff.trajectories.format import SYSTEM_FILE, SystemRecord, read_record

_LOG = logging.getLogger(__name__)
_ASSEMBLE_EVERY = 600.0  # s; what exists can be used while the rest is being made

Progress = Callable[[float, float], None]


def generate(
    config: GenerationConfig | None,
    folder: Path,
    *,
    workers: int = 1,
    time_limit: float | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a data set in a folder, or go on with one. The data do not depend on interruptions or ``workers``.

    All systems advance together, and every ten minutes, when it stops and at the end the folder is brought up to date,
    so that it can be read at any time. Settings may differ from those of the folder in a longer ``length`` and in
    ``platform``; then its trajectories are continued.

    Args:
        config: settings; None: those of the folder.
        folder: created if missing.
        workers: processes of one thread each.
        time_limit: seconds after which no chunk is begun.
        on_progress: called with (ns done, ns in all).
        should_stop: looked at several times a second.
        details: further entries of ``dataset.json``.

    Returns:
        the content of ``dataset.json``.

    Raises:
        GenerationStopped: ``should_stop`` said so; the same call continues.
        DataError: a missing package, a folder of other settings or with fewer chunks than its trajectories need, a
            worker that died, failing dynamics.
        StructureError, PeptideError: a molecule that cannot be used.
        OSError: a file cannot be written.
    """
    require_packages("openmm", "PeptideBuilder", "Bio")
    config = _open_folder(config, folder)
    files = _Files(config, folder, details or {})
    groups = [group for system in config.systems for group in groups_of(config, system)]
    done = {group: min(group.finished(folder), config.chunks) for group in groups}
    try:
        if min(done.values()) < config.chunks:
            end = None if time_limit is None else time.monotonic() + time_limit
            _run(config, folder, done, workers, end, files, on_progress, should_stop)
    finally:
        content = files.update()
    return content


class _Files:
    """The files of the systems, made anew when chunks have come."""

    def __init__(self, config: GenerationConfig, folder: Path, details: dict[str, Any]) -> None:
        self._config, self._folder, self._details = config, folder, details
        self._records: dict[str, SystemRecord | None] = {}
        self._seen: dict[str, int] = {}
        self._last = time.monotonic()

    def update_now_and_then(self) -> None:
        if time.monotonic() - self._last > _ASSEMBLE_EVERY:
            self.update()

    def update(self) -> dict[str, Any]:
        """Bring all files up to date; the content of ``dataset.json``, which is not written before there are frames."""
        for system in self._config.systems:
            chunks = sum(group.finished(self._folder) for group in groups_of(self._config, system))
            if self._seen.get(system.folder) != chunks:
                self._records[system.folder] = assemble_system(self._config, system, self._folder)
                self._seen[system.folder] = chunks
        records = [record for record in self._records.values() if record is not None]
        content = write_dataset(self._config, self._folder, records, self._details)
        self._last = time.monotonic()
        return content


def _open_folder(config: GenerationConfig | None, folder: Path) -> GenerationConfig:
    """The settings, with paths of PDB files in the folder, which is new or holds data of the same settings."""
    settings = folder / "config.yaml"
    if config is None and not settings.exists():
        raise DataError(f"{folder}: holds no data to go on with; give a configuration or a preset")
    if settings.exists():
        kept = _stored(load_config(settings))
        given = kept if config is None else _stored(config)
        same = given.model_copy(update={"length": kept.length, "platform": kept.platform}) == kept
        if not same or _other_files(config, folder):
            raise DataError(
                f"{folder}: holds data of other settings (its config.yaml); choose another folder or delete this one"
            )
        if given.length < kept.length:
            raise DataError(f"{folder}: its trajectories are {kept.length:g} ns long and cannot become shorter")
        for system in given.systems:
            _check_chunks(given, system, folder)
    elif folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty and holds no data of this command; choose another folder")
    else:
        given = _stored(config)  # type: ignore[arg-type]  # None was refused above
        for source, _ in _pdb_files(config, folder):
            # Whether it can be used; sequences have been checked.
            molecule(SystemConfig(pdb=source, name="any"))
    for system in given.systems:
        (folder / system.folder / "chunks").mkdir(parents=True, exist_ok=True)
    for source, copy in _pdb_files(config, folder):
        if not copy.exists():
            _copy(source, copy)
    dump_config(given, settings)
    systems = [s if s.pdb is None else s.model_copy(update={"pdb": folder / s.pdb}) for s in given.systems]
    return given.model_copy(update={"systems": tuple(systems)})


def _check_chunks(config: GenerationConfig, system: SystemConfig, folder: Path) -> None:
    """Make sure that the trajectories of a system can be made of its chunks, which would overwrite longer ones."""
    path = folder / system.folder / SYSTEM_FILE
    if not path.exists():
        return
    frames = {str(entry.file): entry.frames or 0 for entry in read_record(path).trajectories}
    for group in groups_of(config, system):
        kept = group.finished(folder) * config.frames_per_chunk
        for file in map(trajectory_file, range(group.first, group.last)):
            if frames.get(file, 0) > kept:
                raise DataError(
                    f"{path.parent / file}: has {frames[file]} frames, but its chunks hold {kept}, so it cannot "
                    f"be continued; put the files of {path.parent / 'chunks'} back, or delete {path} to make the "
                    "trajectories anew"
                )


def _stored(config: GenerationConfig) -> GenerationConfig:
    """As it is written: PDB files are copies in the folder."""
    systems = [
        s if s.pdb is None else s.model_copy(update={"pdb": Path(s.folder) / "input.pdb", "name": s.folder})
        for s in config.systems
    ]
    return config.model_copy(update={"systems": tuple(systems)})


def _pdb_files(config: GenerationConfig | None, folder: Path) -> list[tuple[Path, Path]]:
    """Given PDB files and their copies."""
    systems = () if config is None else config.systems
    return [(system.pdb, folder / system.folder / "input.pdb") for system in systems if system.pdb is not None]


def _other_files(config: GenerationConfig | None, folder: Path) -> bool:
    try:
        return any(
            copy.exists() and source.read_bytes() != copy.read_bytes() for source, copy in _pdb_files(config, folder)
        )
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"{source}: cannot be copied ({error.strerror or error})") from error


def _run(
    config: GenerationConfig,
    folder: Path,
    done: dict[Group, int],
    workers: int,
    end: float | None,
    files: _Files,
    on_progress: Progress | None,
    should_stop: Callable[[], bool],
) -> None:
    ns_per_frame = 1e-3 * config.frame_interval
    whole = config.chunks * config.frames_per_chunk
    total = len(config.systems) * config.trajectories * whole
    before = sum(number * config.frames_per_chunk * (group.last - group.first) for group, number in done.items())
    running: dict[Future[None], Group] = {}
    with worker_pool(min(workers, len(done)), before, DataError) as pool:
        while True:
            waiting = [g for g, number in done.items() if number < config.chunks and g not in running.values()]
            if end is not None and time.monotonic() > end:
                waiting = []
            # Those that are behind come first, so that all systems advance together.
            for group in sorted(waiting, key=done.__getitem__)[: workers - len(running)]:
                running[pool.submit(_work, config, group, done[group], folder)] = group
            if not running:
                return
            finished, _ = wait(running, LOOK_EVERY, FIRST_COMPLETED)
            for future in finished:
                future.result()
                done[running.pop(future)] += 1
            if on_progress is not None:
                on_progress(ns_per_frame * pool.made, ns_per_frame * total)
            files.update_now_and_then()
            if should_stop():
                raise GenerationStopped


def _work(config: GenerationConfig, group: Group, number: int, folder: Path) -> None:
    torch.set_num_threads(1)  # the variables of the environment are too late where the caller's script loads torch
    make_chunk(config, group, number, folder, count)
