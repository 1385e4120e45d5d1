"""Typed configuration of a jump model."""

from pydantic import Field

from mlff.equijump.network import JumpNetworkConfig
from mlff.support.settings import Section
from mlff.transports import FollmerConfig, TransportConfig


class JumpConfig(Section):
    """Everything that determines the architecture of a jump model."""

    network: JumpNetworkConfig = JumpNetworkConfig()
    transport: TransportConfig = FollmerConfig()
    steps: int = Field(default=10, ge=1, description="latent steps of a jump unless the caller asks for others")
