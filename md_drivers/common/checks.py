"""Checks of what a caller gives, and what stands for what it does not give. Imports no torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from mlff.support.errors import unknown
from mlff.support.files import NOT_THERE

_T = TypeVar("_T")


def check_count(name: str, value: object, least: int = 1) -> None:
    """ValueError, naming it, unless a value is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")


def check_choice(name: str, value: object, choices: tuple[Any, ...]) -> None:
    """ValueError, naming it, unless a value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(unknown(name, value, choices))


def check_skin(skin: object) -> None:
    """ValueError unless this is a reach that a neighbour list can have."""
    if not (is_finite(skin) and skin >= 0.0):  # type: ignore[operator]
        raise ValueError(f"skin must be a finite length >= 0 A, got {skin!r}")


def check_limit(stop_above: object) -> None:
    """ValueError unless this is an uncertainty at which to stop, or None."""
    if stop_above is not None and not (is_finite(stop_above) and stop_above > 0.0):  # type: ignore[operator]
        raise ValueError(f"stop_above must be a positive number in eV/A, got {stop_above!r}")


def is_finite(value: object) -> bool:
    """Whether a value is a finite real number."""
    return isinstance(value, Real) and math.isfinite(value)


def check_file(path: Path, needed: str) -> None:
    """FileNotFoundError unless there is a file; ``needed`` says what the file should be."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {needed} is needed")


def missing_structure(text: str) -> str | None:
    """What to say of a structure file, with ASE's selection behind an @ or without, that is not there."""
    name = text if Path(text).exists() else text.rpartition("@")[0] or text
    return None if Path(name).exists() else NOT_THERE.format(name)


def first_few(things: Sequence[object], limit: int) -> str:
    """The first few of many for a message."""
    text = ", ".join(map(str, things[:limit]))
    return text if len(things) <= limit else f"{text}, … ({len(things)} in all)"


def formerly(old: str, given: _T | None, new: str, value: _T, also: str = "") -> _T:
    """The value of an argument, which may be given by its former name, with a DeprecationWarning."""
    if given is None:
        return value
    warnings.warn(f"{old}= is now {new}={also}", DeprecationWarning, stacklevel=3)
    return given


def ignore(progress: object) -> None:
    """``on_progress`` of a caller that wants no report."""


def never() -> bool:
    """``should_stop`` of a caller that has none."""
    return False
