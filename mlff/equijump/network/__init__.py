"""The network of EquiJump."""

from mlff.equijump.network.config import JumpNetworkConfig
from mlff.equijump.network.context import Condition, ResidueGraph
from mlff.equijump.network.network import JumpNetwork

__all__ = ["Condition", "JumpNetwork", "JumpNetworkConfig", "ResidueGraph"]
