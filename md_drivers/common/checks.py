"""Checks of what a caller gives."""

from __future__ import annotations


def check_count(name: str, value: object, least: int = 1) -> None:
    """ValueError, naming it, unless a value is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
