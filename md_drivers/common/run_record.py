"""The JSON record of a run that can be resumed: what it was asked, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from md_drivers.common.errors import StructureError
from md_drivers.common.files import write_json


class RunRecord:
    """A record, which replaces the one on disk as a whole at every :meth:`update`.

    Args:
        path: of the file, in the folder of the run.
        content: what is known before the run; ``content["settings"]`` is what makes it what it is.
        noun: what runs, for messages.
        free: settings that may change when the run is resumed.
    """

    def __init__(self, path: Path, content: dict[str, Any], noun: str, free: Collection[str] = ()) -> None:
        self.content = content
        self._path, self._noun, self._free = path, noun, free

    def before(self) -> dict[str, Any]:
        """The record of the run to resume.

        Raises:
            FileNotFoundError: no run was begun here.
            StructureError: it was one with other settings (all are named), or the file is damaged.
        """
        if not self._path.exists():
            raise FileNotFoundError(
                f"{self._path}: no such file, so there is no {self._noun} to resume in {self._path.parent}"
            )
        try:
            record: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            changed = _differences(record["settings"], self.content["settings"], self._free)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.damaged(error) from error
        if changed:
            raise StructureError(
                f"{self._path.parent}: a {self._noun} cannot be resumed with other settings ({changed}); give those of "
                "before, or start anew in another folder"
            )
        return record

    def damaged(self, error: Exception) -> StructureError:
        """What to raise where the record does not hold what it should."""
        return StructureError(f"{self._path}: damaged ({error!r}); start anew in another folder")

    def check_steps(self, done: int, asked: int) -> None:
        """Raise StructureError where the run has more steps already than it is now asked for."""
        if done > asked:
            raise StructureError(
                f"{self._path.parent}: the {self._noun} has {done} steps already, more than the {asked} asked for; "
                "steps count from its start"
            )

    def update(self, **about: Any) -> None:
        """Write the record, with what is now known."""
        self.content.update(about)
        write_json(self._path, self.content)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]) -> str:
    """What changed, by the names of the options; empty if nothing did."""
    names = [name for name in {**before, **now} if name not in free and before.get(name) != now.get(name)]
    return "; ".join(f"{name.replace('_', '-')} was {before.get(name)!r}, now {now.get(name)!r}" for name in names)
