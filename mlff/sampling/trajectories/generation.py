"""A whole data set: chunks made by worker processes, files made from them."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from mlff.sampling.folder import SETTINGS, check_settings, holds_data, making_data
from mlff.sampling.packages import require_packages
from mlff.sampling.trajectories.assemble import assemble_system, trajectory_file, write_dataset
from mlff.sampling.trajectories.chunks import Group, groups_of, make_chunk
from mlff.sampling.trajectories.config import GenerationConfig, SystemConfig, dump_config, load_config
from mlff.sampling.trajectories.starts import molecule
from mlff.sampling.workers import count, run_jobs
from mlff.support.errors import DataError, InputError
from mlff.trajectories import SYSTEM_FILE, SystemRecord, read_record

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
        Interrupted: ``should_stop`` said so; the same call continues.
        InputError: a missing package, a molecule that cannot be used, a folder of other settings or with fewer chunks
            than its trajectories need.
        RunError: a worker that died, failing dynamics.
        OSError: a file cannot be written.
    """
    require_packages("openmm", "PeptideBuilder", "Bio")
    with making_data(folder):
        config = _open_folder(config, folder)
        run = _Run(config, folder, time_limit, on_progress, details or {})
        run.announce()
        try:
            run_jobs(
                _work,
                run.waiting,
                lambda group: (config, group, run.done[group], folder),
                workers=workers,
                made=config.frames_per_chunk * sum(chunks * group.size for group, chunks in run.done.items()),
                on_done=run.finish,
                on_look=run.look,
                should_stop=should_stop,
            )
        finally:
            content = run.update()
        return content


class _Run:
    """Which chunks are done, and the files that are made anew when chunks have come."""

    def __init__(
        self,
        config: GenerationConfig,
        folder: Path,
        time_limit: float | None,
        on_progress: Progress | None,
        details: dict[str, Any],
    ) -> None:
        groups = [group for system in config.systems for group in groups_of(config, system)]
        self.done = {group: min(group.finished(folder), config.chunks) for group in groups}
        self._config, self._folder, self._on_progress, self._details = config, folder, on_progress, details
        self._end = math.inf if time_limit is None else time.monotonic() + time_limit
        self._records: dict[str, SystemRecord | None] = {}
        self._seen: dict[str, int] = {}
        self._updated = time.monotonic()

    def announce(self) -> None:
        """Say what happens before the first frame."""
        if not (left := self.waiting(())):
            return
        config, begins = self._config, any(self.done[group] == 0 for group in left)
        steps = ["building", *(["compiling"] if config.platform == "torch" else [])]
        steps += ["finding starts", f"equilibration ({config.equilibration:g} ps)"] if begins else []
        names = ", ".join(dict.fromkeys(group.system.folder for group in left))
        _LOG.info("%s: %s; frames come after that", names, ", ".join(steps))

    def waiting(self, running: Collection[Group]) -> list[Group]:
        """Groups with chunks to make; those that are behind come first, so that all systems advance together."""
        if time.monotonic() > self._end:
            return []
        left = [group for group, number in self.done.items() if number < self._config.chunks and group not in running]
        return sorted(left, key=self.done.__getitem__)

    def finish(self, group: Group) -> None:
        """Count a chunk."""
        self.done[group] += 1

    def look(self, made: int) -> None:
        """Report the frames that are made, and update the files now and then."""
        if self._on_progress is not None:
            ns, config = 1e-3 * self._config.frame_interval, self._config
            total = len(config.systems) * config.trajectories * config.chunks * config.frames_per_chunk
            self._on_progress(ns * made, ns * total)
        if time.monotonic() - self._updated > _ASSEMBLE_EVERY:
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
        self._updated = time.monotonic()
        return content


def _open_folder(config: GenerationConfig | None, folder: Path) -> GenerationConfig:
    """The settings, with paths of PDB files in the folder, which is new or holds data of the same settings."""
    if holds_data(folder):
        kept = _stored(load_config(folder / SETTINGS))
        given = kept if config is None else _stored(config)
        same = given.model_copy(update={"length": kept.length, "platform": kept.platform}) == kept
        check_settings(folder, same and not _other_files(config, folder))
        if given.length < kept.length:
            raise InputError(f"{folder}: its trajectories are {kept.length:g} ns long and cannot become shorter")
        for system in given.systems:
            _check_chunks(given, system, folder)
    elif config is None:
        raise InputError(f"{folder}: holds no data to go on with; give a configuration or a preset")
    else:
        given = _stored(config)
        for source, _ in _pdb_files(config, folder):
            # Whether it can be used; sequences have been checked.
            molecule(SystemConfig(pdb=source, name="any"))
    for system in given.systems:
        (folder / system.folder / "chunks").mkdir(parents=True, exist_ok=True)
    for source, copy in _pdb_files(config, folder):
        if not copy.exists():
            _copy(source, copy)
    dump_config(given, folder / SETTINGS)
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
                    f"has {frames[file]} frames, but its chunks hold {kept}, so it cannot be continued",
                    file=path.parent / file,
                    hint=f"put the files of {path.parent / 'chunks'} back, or delete {path} to make them anew",
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
        raise DataError(f"cannot be read ({error.strerror})", file=error.filename) from error


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"cannot be copied ({error.strerror or error})", file=source) from error


def _work(config: GenerationConfig, group: Group, number: int, folder: Path) -> None:
    torch.set_num_threads(1)  # the variables of the environment are too late where the caller's script loads torch
    make_chunk(config, group, number, folder, count)
