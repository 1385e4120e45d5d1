"""The network of EquiJump."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equijump.network.config import JumpNetworkConfig
    from mlff.equijump.network.context import Condition, ResidueGraph
    from mlff.equijump.network.network import JumpNetwork

__all__ = ["Condition", "JumpNetwork", "JumpNetworkConfig", "ResidueGraph"]

__getattr__, __dir__ = lazy(__name__, __file__)
