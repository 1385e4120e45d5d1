"""One file per model of any kind: writing, checking and loading it."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.artifacts.container import file_sha256
    from mlff.artifacts.errors import ArtifactError, ArtifactNotFoundError
    from mlff.artifacts.exporting import export
    from mlff.artifacts.kind import ModelKind
    from mlff.artifacts.loaded import Loaded, reopen
    from mlff.artifacts.loading import load
    from mlff.artifacts.metadata import DatasetProvenance, Metadata
    from mlff.artifacts.names import available
    from mlff.artifacts.pretrained import PretrainedModel, models
    from mlff.artifacts.self_test import Case, SelfTest, SelfTestReport

__all__ = [
    "ArtifactError",
    "ArtifactNotFoundError",
    "Case",
    "DatasetProvenance",
    "Loaded",
    "Metadata",
    "ModelKind",
    "PretrainedModel",
    "SelfTest",
    "SelfTestReport",
    "available",
    "export",
    "file_sha256",
    "load",
    "models",
    "reopen",
]

__getattr__, __dir__ = lazy(__name__, __file__)
