"""The folder of a run and its JSON record: what it was asked, with what, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from md_drivers.common.errors import StructureError
from md_drivers.common.models import Loaded, dtype_name, model_name
from mlff.support.console import this_command
from mlff.support.files import NOT_THERE, write_json
from mlff.support.folders import at_work, holds_files
from mlff.support.versions import installed_versions

_PACKAGES = ("mlff-equijump", "torch", "numpy", "ase")


class RunFolder:
    """Output folder with a record, which replaces the one on disk as a whole at every :meth:`update`.

    Args:
        path: of the folder.
        record: name of the file.
        noun: what runs, for messages.
        settings: what makes the run what it is; dtype and SHA-256 of the model are added.
        model: that is used.
        packages: whose versions count, on top of those of all drivers.
        free: settings that may change when the run is resumed.
    """

    def __init__(
        self,
        path: Path,
        record: str,
        noun: str,
        settings: Mapping[str, Any],
        model: Loaded,
        packages: Iterable[str] = (),
        free: Collection[str] = (),
    ) -> None:
        self.path = path
        self._record, self._noun, self._free = path / record, noun, free
        dtype = dtype_name(model.dtype)
        about = {"path": str(model.path), "sha256": model.sha256, "device": str(model.device), "dtype": dtype}
        about["engine"] = model.engine
        self.content: dict[str, Any] = {
            "command": this_command(),
            "settings": {**settings, "dtype": dtype, "model_sha256": model.sha256},
            "model": {"name": model_name(model), **about},
            "versions": installed_versions((*_PACKAGES, *packages)),
        }

    def previous(self, resume: bool) -> dict[str, Any] | None:
        """The record of the run to resume, ``None`` for a new run.

        Raises:
            FileExistsError: a new run would overwrite something.
            FileNotFoundError: no run was begun here.
            StructureError: it was one with other settings (all are named), or the file is damaged.
        """
        path = self.path
        if not resume:
            if holds_files(path):
                raise FileExistsError(f"{path} exists already: go on with it (--resume, resume=True) or name another")
            return None
        if not self._record.exists():
            raise FileNotFoundError(f"{NOT_THERE.format(self._record)}, so there is no {self._noun} to resume")
        try:
            record: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
            changed = _differences(record["settings"], self.content["settings"], self._free)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.damaged(error) from error
        if changed:
            raise StructureError(
                f"{path}: a {self._noun} cannot be resumed with other settings ({changed}); give those of before, or "
                "start anew in another folder"
            )
        return record

    @contextmanager
    def at_work(self, resume: bool) -> Iterator[None]:
        """Be the only process in the folder; errors as of :meth:`previous` and :func:`mlff.support.folders.at_work`."""
        self.previous(resume)  # what it refuses shall not get a lock
        with at_work(self.path):
            yield

    def damaged(self, error: Exception) -> StructureError:
        """What to raise where the record does not hold what it should."""
        return StructureError(f"{self._record}: damaged ({error!r}); start anew in another folder")

    def check_steps(self, done: int, asked: int) -> None:
        """Raise StructureError where the run has more steps already than it is now asked for."""
        check_steps(str(self.path), self._noun, done, asked)

    def begin(self, **about: Any) -> None:
        """Write the record, first of all files: without it nothing can be resumed."""
        self.update(**about, status="running")

    def update(self, **about: Any) -> None:
        """Write the record, with what is now known."""
        self.content.update(about)
        write_json(self._record, self.content)


def check_steps(where: str, noun: str, done: int, asked: int) -> None:
    """Raise StructureError where a run has more steps already than it is now asked for."""
    if done > asked:
        raise StructureError(
            f"{where}: the {noun} has {done} steps already, more than the {asked} asked for; steps count from its start"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]) -> str:
    """What changed, by the names of the options; empty if nothing did."""
    names = [name for name in {**before, **now} if name not in free and before.get(name) != now.get(name)]
    return "; ".join(f"{name.replace('_', '-')} was {before.get(name)!r}, now {now.get(name)!r}" for name in names)
