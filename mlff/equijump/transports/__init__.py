"""Ways from a state to a sample of the next: what a network learns, and how it is integrated."""

from mlff.equijump.transports.base import Transport
from mlff.equijump.transports.config import (
    EndpointConfig,
    FollmerConfig,
    TransportConfig,
    TwoSidedConfig,
    build_transport,
)
from mlff.equijump.transports.endpoint import EndpointTransport
from mlff.equijump.transports.follmer import FollmerTransport
from mlff.equijump.transports.two_sided import TwoSidedTransport

__all__ = [
    "EndpointConfig",
    "EndpointTransport",
    "FollmerConfig",
    "FollmerTransport",
    "Transport",
    "TransportConfig",
    "TwoSidedConfig",
    "TwoSidedTransport",
    "build_transport",
]
