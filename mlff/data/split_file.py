"""Which frame of which file is in which part: the file that travels with a published model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import NonNegativeInt, ValidationError

from mlff.data.frame import Frame
from mlff.data.provenance import dataset_fingerprint
from mlff.data.splits import PARTS, read_indices
from mlff.support.errors import DataError, unknown
from mlff.support.settings import Section, describe


class SplitFile(Section):
    """The parts of a split by names of files and positions of frames in them; no folders.

    Attributes:
        files: SHA-256 of the bytes of each data file, by its name.
        parts: by part and name of the file, the indices of the frames, counted from 0 in that file.
    """

    files: dict[str, str]
    parts: dict[str, dict[str, tuple[NonNegativeInt, ...]]]

    def to_json(self) -> str:
        """JSON text with the indices of a part on one line."""
        lines = [f"  {json.dumps(name)}: {json.dumps(files)}" for name, files in self.parts.items()]
        return f'{{\n "files": {json.dumps(self.files)},\n "parts": {{\n' + ",\n".join(lines) + "\n }\n}\n"

    def select(self, frames: Sequence[Frame], part: str) -> list[Frame]:
        """The frames of a part, in the order of the split.

        Args:
            frames: all frames of the files, as `read_frames` returns them.
            part: train, val or test, as the file names them.

        Raises:
            DataError: there is no such part, a file of the part is missing or has other content than the split was
                made for, two files have one name, or a frame does not exist.
        """
        if part not in self.parts:
            raise DataError(unknown("part of the split", part, self.parts))
        wanted = {name: indices for name, indices in self.parts[part].items() if indices}
        if not wanted:
            raise DataError(f"the {part} part holds no frames")
        paths = sorted({frame.source for frame in frames if frame.source.name in wanted})
        missing = sorted(set(wanted) - {path.name for path in paths})
        if missing:
            raise DataError(f"the {part} part lies in {', '.join(missing)}", hint="give these files")
        if len(paths) > len(wanted):
            raise DataError(f"several files have the same name: {', '.join(map(str, paths))}", hint="give one of each")
        for path, digest in zip(paths, dataset_fingerprint(paths).files, strict=True):
            if self.files.get(path.name) != digest[1]:
                raise DataError("is not the file that was split: its SHA-256 differs", file=path)
        place = {(frame.source.name, frame.index): frame for frame in frames}
        chosen = []
        for name, indices in wanted.items():
            for index in indices:
                if (name, index) not in place:
                    raise DataError("there is no such frame", file=name, frame=index)
                chosen.append(place[name, index])
        return chosen


def read_split_file(path: Path) -> SplitFile:
    """Reads a split file.

    Raises:
        DataError: unreadable, not JSON, or not a split.
    """
    try:
        return SplitFile.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", file=path) from error
    except ValidationError as error:
        hint = "`mlff publish` writes these"
        raise DataError(f"not a split file ({describe(error)})", file=path, hint=hint) from error


def select_frames(frames: Sequence[Frame], selection: str) -> list[Frame]:
    """The frames that a command-line option names.

    Args:
        frames: all frames of the files given.
        selection: `split.json:test` for a part of a split file, or a text or .npy file of indices that count over all
            frames in the order given.

    Raises:
        DataError: see `SplitFile.select` and `read_indices`.
    """
    name, _, part = selection.rpartition(":")
    if name.endswith(".json"):
        return read_split_file(Path(name)).select(frames, part)
    if selection.endswith(".json"):
        raise DataError("a split file has several parts", file=selection, hint=f"name one: {selection}:{PARTS[-1]}")
    return [frames[index] for index in read_indices(Path(selection), len(frames))]
