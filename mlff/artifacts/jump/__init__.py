"""Files of jump models: the same container as that of potentials, with clouds in place of graphs."""

from mlff.artifacts.jump.exporting import export_jump
from mlff.artifacts.jump.loaded_jump import LoadedJump
from mlff.artifacts.jump.loading import load_any, load_jump, reopen

__all__ = ["LoadedJump", "export_jump", "load_any", "load_jump", "reopen"]
