"""Typed configurations of the transports."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlff.support.settings import Section

if TYPE_CHECKING:
    from mlff.transports.base import Transport


class BaseTransportConfig(Section):
    """What all transports have; fields other than noises are arguments of the transport by the same name."""

    position_noise: float = Field(
        default=0.5, gt=0, description="Å, σ of channel 0, the anchors: about their rms displacement in a jump"
    )
    vector_noise: float = Field(
        default=0.5, gt=0, description="Å, σ of all other channels, the other heavy atoms about their anchor"
    )
    heun: bool = Field(default=True, description="second-order steps, two network calls each; false: Euler")
    grid_power: float = Field(
        default=2.0, ge=1, le=8, description="steps end at 1 - (1 - k/K)^power: above 1 denser towards the end"
    )
    time_power: float = Field(
        default=1.0, ge=1, description="training draws times 1 - (1 - u)^power, u uniform: 1 uniform, above 1 late ones"
    )

    @property
    def noise(self) -> list[float]:
        """σ of channel 0 and of all others."""
        return [self.position_noise, self.vector_noise]


class FollmerConfig(BaseTransportConfig):
    """A point source and one drift: exact for a point, one output, no singularity."""

    kind: Literal["follmer"] = "follmer"
    time_power: float = Field(
        default=2.0, ge=1, description="training draws times 1 - (1 - u)^power: bonds and contacts are decided late"
    )
    quadratic: bool = Field(default=True, description="β = t², which tolerates a small σ; false: β = t")
    exponential: bool = Field(
        default=False,
        description="steps that are exact where the end is known, and narrow x1 if few; false: along the drift",
    )
    churn: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="steps of the second half begin earlier by this share of the last one: errors of the network are "
        "forgotten, and few steps narrow x1",
    )
    early: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="share of the steps, rounded, that decide along the drift where the jump goes (up to t = 0.5; "
        "grid_power is for the others); 0: all steps by grid_power, which miss rare jumps if they are few",
    )

    @model_validator(mode="after")
    def _second_order(self) -> Self:
        if self.churn > 0.0 and not self.heun:
            raise ValueError("churn needs steps of second order: heun must be true")
        return self


class EndpointConfig(BaseTransportConfig):
    """A noised source and the prediction of the end, as in DeepJump."""

    kind: Literal["endpoint"] = "endpoint"


class TwoSidedConfig(BaseTransportConfig):
    """Drift and denoiser of a two-sided interpolant, as in EquiJump."""

    kind: Literal["two_sided"] = "two_sided"
    gamma: Literal["brownian", "quadratic"] = "brownian"
    epsilon: float = Field(default=0.5, gt=0, description="strength of the noise; 3 suits the quadratic gamma")
    window: tuple[float, float] | None = Field(
        default=None, description="times between which the noise is constant, else 0"
    )

    @field_validator("window")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0.0 <= value[0] < value[1] <= 1.0:
            raise ValueError(f"window must be two times in order within [0, 1], got {value}")
        return value


TransportConfig = Annotated[FollmerConfig | EndpointConfig | TwoSidedConfig, Field(discriminator="kind")]


# By name, so that configurations are checked without torch.
_TRANSPORTS = {
    "follmer": "mlff.transports.follmer:FollmerTransport",
    "endpoint": "mlff.transports.endpoint:EndpointTransport",
    "two_sided": "mlff.transports.two_sided:TwoSidedTransport",
}


def build_transport(config: BaseTransportConfig) -> "Transport":
    """The centred transport that a configuration describes, for states of any number of channels.

    >>> import torch
    >>> build_transport(FollmerConfig(vector_noise=0.2)).sigma_of(torch.zeros(5, 3, 3))
    tensor([0.5000, 0.2000, 0.2000])
    """
    arguments = config.model_dump(exclude={"position_noise", "vector_noise"})
    transport: Transport = resolve_name(_TRANSPORTS[arguments.pop("kind")])(config.noise, **arguments)
    return transport
