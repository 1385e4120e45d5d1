"""The error raised for bad training data."""

from __future__ import annotations

from pathlib import Path


class DataError(ValueError):
    """Training data cannot be used as given.

    The message reads ``<file>, frame <index>: <reason>; <what to do>``. Frames are counted from 0, as in ASE.

    Attributes:
        reason: what is wrong.
        file: the file it was found in, or None where the error concerns no single file.
        frame: index of the frame within that file, or None.
        hint: what the user can do about it, or None.
    """

    def __init__(
        self, reason: str, *, file: str | Path | None = None, frame: int | None = None, hint: str | None = None
    ) -> None:
        self.reason = reason
        self.file = None if file is None else Path(file)
        self.frame = frame
        self.hint = hint
        where = [] if file is None else [str(file)]
        if frame is not None:
            where.append(f"frame {frame}")
        message = f"{', '.join(where)}: {reason}" if where else reason
        super().__init__(message if hint is None else f"{message}; {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        # Errors raised in data-loader workers travel to the main process by pickling.
        return _rebuild, (self.reason, self.file, self.frame, self.hint)


def _rebuild(reason: str, file: Path | None, frame: int | None, hint: str | None) -> DataError:
    return DataError(reason, file=file, frame=frame, hint=hint)
