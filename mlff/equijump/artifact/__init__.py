"""Jump models in files: their metadata, self-test and opened form."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equijump.artifact.familiarity import Familiarity as Familiarity
    from mlff.equijump.artifact.kind import KIND as KIND
    from mlff.equijump.artifact.loaded import LoadedJump as LoadedJump
    from mlff.equijump.artifact.metadata import JumpMetadata as JumpMetadata
    from mlff.equijump.artifact.short import export_jump as export_jump
    from mlff.equijump.artifact.short import load_jump as load_jump

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
