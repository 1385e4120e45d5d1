"""What can be wrong with a model file; the home of ``ArtifactError`` is :mod:`mlff.support.errors`."""

from mlff.support.errors import ArtifactError

__all__ = ["ArtifactError", "ArtifactNotFoundError"]


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """There is no model of that name or at that path."""

    __str__ = ValueError.__str__  # FileNotFoundError would print an errno pair
