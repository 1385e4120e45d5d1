"""What can be wrong with a model file."""

from __future__ import annotations


class ArtifactError(ValueError):
    """A model file that cannot be written, read or trusted; the message names the file, the fault and the remedy."""


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """There is no model of that name or at that path."""

    __str__ = ValueError.__str__  # FileNotFoundError would print an errno pair
