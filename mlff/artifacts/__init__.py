"""One file per model: writing, checking and loading it."""

from mlff.artifacts.container import file_sha256
from mlff.artifacts.errors import ArtifactError, ArtifactNotFoundError
from mlff.artifacts.exporting import export
from mlff.artifacts.jump import LoadedJump, export_jump, load_any, load_jump, reopen
from mlff.artifacts.loaded_model import LoadedModel
from mlff.artifacts.loading import load
from mlff.artifacts.metadata import ArtifactMetadata, DatasetProvenance, JumpMetadata
from mlff.artifacts.names import available
from mlff.artifacts.self_test import SelfTestReport
from mlff.imports.equiformer_v2 import import_equiformer_v2

__all__ = [
    "ArtifactError",
    "ArtifactMetadata",
    "ArtifactNotFoundError",
    "DatasetProvenance",
    "JumpMetadata",
    "LoadedJump",
    "LoadedModel",
    "SelfTestReport",
    "available",
    "export",
    "export_jump",
    "file_sha256",
    "import_equiformer_v2",
    "load",
    "load_any",
    "load_jump",
    "reopen",
]
