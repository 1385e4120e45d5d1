"""The errors of trajectory data."""

from __future__ import annotations


class DataError(ValueError):
    """Trajectories cannot be made or read as asked; the message says what, where, and what to do."""
