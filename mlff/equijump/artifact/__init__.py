"""Jump models in files: their metadata, self-test and opened form."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equijump.artifact.kind import KIND
    from mlff.equijump.artifact.loaded import LoadedJump
    from mlff.equijump.artifact.metadata import JumpMetadata
    from mlff.equijump.artifact.short import export_jump, load_jump

__all__ = ["KIND", "JumpMetadata", "LoadedJump", "export_jump", "load_jump"]

__getattr__, __dir__ = lazy(__name__, __file__)
