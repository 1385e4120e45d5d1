"""Potentials in files: their metadata, self-test and opened form."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.potential.artifact.kind import KIND as KIND
    from mlff.potential.artifact.loaded import LoadedModel as LoadedModel
    from mlff.potential.artifact.metadata import ArtifactMetadata as ArtifactMetadata

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
