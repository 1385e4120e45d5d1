"""Ways from a state to a sample of the next: what a network learns, and how it is integrated."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.transports.base import Transport
    from mlff.transports.config import EndpointConfig, FollmerConfig, TransportConfig, TwoSidedConfig, build_transport
    from mlff.transports.endpoint import EndpointTransport
    from mlff.transports.follmer import FollmerTransport
    from mlff.transports.two_sided import TwoSidedTransport

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

__getattr__, __dir__ = lazy(__name__, __file__)
