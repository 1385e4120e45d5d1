"""Potentials in files: their metadata, self-test and opened form."""

from mlff.potential.artifact.kind import KIND
from mlff.potential.artifact.loaded import LoadedModel
from mlff.potential.artifact.metadata import ArtifactMetadata

__all__ = ["KIND", "ArtifactMetadata", "LoadedModel"]
