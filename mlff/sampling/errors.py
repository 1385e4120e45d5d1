"""The errors of this room."""

from __future__ import annotations


class PeptideError(ValueError):
    """Peptide data cannot be made as asked; the message says what, where, and what to do."""


class NotConvergedError(PeptideError):
    """The self-consistent field of one structure did not converge."""


class GenerationStopped(Exception):
    """A stop was asked for. What is finished is on disk, and the same call goes on from there."""
