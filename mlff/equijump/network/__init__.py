"""The network of EquiJump."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equijump.network.config import JumpNetworkConfig as JumpNetworkConfig
    from mlff.equijump.network.context import Condition as Condition
    from mlff.equijump.network.context import ResidueGraph as ResidueGraph
    from mlff.equijump.network.network import JumpNetwork as JumpNetwork

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
