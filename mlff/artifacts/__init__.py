"""One file per model of any kind: writing, checking and loading it."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.artifacts.container import file_sha256 as file_sha256
    from mlff.artifacts.errors import ArtifactError as ArtifactError
    from mlff.artifacts.errors import ArtifactNotFoundError as ArtifactNotFoundError
    from mlff.artifacts.exporting import export as export
    from mlff.artifacts.kind import ModelKind as ModelKind
    from mlff.artifacts.loaded import Loaded as Loaded
    from mlff.artifacts.loaded import reopen as reopen
    from mlff.artifacts.loading import load as load
    from mlff.artifacts.metadata import DatasetProvenance as DatasetProvenance
    from mlff.artifacts.metadata import Metadata as Metadata
    from mlff.artifacts.names import available as available
    from mlff.artifacts.pretrained import PretrainedModel as PretrainedModel
    from mlff.artifacts.pretrained import models as models
    from mlff.artifacts.self_test import Case as Case
    from mlff.artifacts.self_test import SelfTest as SelfTest
    from mlff.artifacts.self_test import SelfTestReport as SelfTestReport

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
