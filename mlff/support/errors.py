"""The errors of this project, and the exit status that each has on a command line.

===================  ======  ======================================================================
error                status  what it says
===================  ======  ======================================================================
`InputError`         2       a file, an option or a structure is wrong
`ConfigError`        2       ... in a configuration
`DataError`          2       ... in training data or a trajectory; names file and frame
`ArtifactError`      2       a model file or a saved state cannot be written, read or trusted
`RunError`           1       a calculation failed
`NotConvergedError`  3       a calculation ended without reaching what it was to reach
`Interrupted`        128+n   signal n came; what was finished is saved
===================  ======  ======================================================================
"""

from __future__ import annotations

import difflib
import signal
import unicodedata
from collections.abc import Iterable
from functools import partial
from pathlib import Path

_MOST_CHOICES = 30  # longer lists, such as that of all elements, help nobody
_LONGEST = 1000  # characters of a reason or a hint; names in a damaged file may have millions


def printable(text: str) -> str:
    """Text without control characters and marks that reorder it, which a terminal would obey; lines and tabs stay.

    >>> printable("copper" + chr(27) + "[2J")
    'copper[2J'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def first_line(error: BaseException) -> str:
    """What an error says, without further lines; its class if it says nothing."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0])


def unknown(what: str, given: object, known: Iterable[object]) -> str:
    """What to say of a name that is none of those there are; everywhere the same.

    >>> unknown("optimizer", "adam", ["muon", "adamw"])
    'unknown optimizer `adam`: choose from muon, adamw; did you mean `adamw`?'
    """
    names = {str(name).lower(): str(name) for name in known}
    near = difflib.get_close_matches(str(given).lower(), names, n=1)
    listed = f": choose from {', '.join(names.values()) or 'none'}" if len(names) <= _MOST_CHOICES else ""
    return f"unknown {what} `{given}`{listed}" + (f"; did you mean `{names[near[0]]}`?" if near else "")


class InputError(ValueError):
    """Something given to this program is wrong; the message says what, where, and what to do."""


class ConfigError(InputError):
    """A configuration that cannot be used; the message names the file and the field."""


class DataError(InputError):
    """Data that cannot be used as given.

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
        reason, hint = _shortened(reason), None if hint is None else _shortened(hint)
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
        return partial(type(self), file=self.file, frame=self.frame, hint=self.hint), (self.reason,)


class ArtifactError(ValueError):
    """A model file or a saved state that cannot be written, read or trusted; the message names file, fault, remedy."""


class RunError(RuntimeError):
    """A calculation that failed; the message says where and what to try."""


class NotConvergedError(RunError):
    """A calculation that ended before it reached what it was to reach."""


_SIGNALS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "a request to terminate (SIGTERM)"}


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop, and what was finished is saved.

    Attributes:
        signum: number of the signal.
    """

    def __init__(self, signum: int = signal.SIGINT, message: str = "") -> None:
        super().__init__(message or f"stopped by {_SIGNALS.get(signum, f'signal {signum}')}")
        self.signum = int(signum)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.signum, str(self))


# Names of earlier versions. Assigned, so that type checkers see them as public.
StateError = ArtifactError
TrainingError = RunError
TrainingInterrupted = Interrupted
