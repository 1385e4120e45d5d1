"""Ways from a state to a sample of the next: what a network learns, and how it is integrated."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.transports.base import Transport as Transport
    from mlff.transports.config import EndpointConfig as EndpointConfig
    from mlff.transports.config import FollmerConfig as FollmerConfig
    from mlff.transports.config import TransportConfig as TransportConfig
    from mlff.transports.config import TwoSidedConfig as TwoSidedConfig
    from mlff.transports.config import build_transport as build_transport
    from mlff.transports.endpoint import EndpointTransport as EndpointTransport
    from mlff.transports.follmer import FollmerTransport as FollmerTransport
    from mlff.transports.two_sided import TwoSidedTransport as TwoSidedTransport

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
