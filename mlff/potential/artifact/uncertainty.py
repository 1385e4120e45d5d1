"""What a file says of the uncertainty that its program computes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlff.graph import quantity
from mlff.graph.quantities import QuantityName

#: 90 % of normally distributed errors are within this many standard deviations.
INTERVAL = 1.6448536269514722


class CurvePoint(BaseModel):
    """Values of similar uncertainty: how many, root mean squares of σ and error, share within ± 1.645 σ."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    count: Annotated[int, Field(ge=1)]
    sigma: float
    error: float
    covered: float


class Calibration(BaseModel):
    """Of one quantity, in its unit: σ² = (``factor`` · s · (t / ``typical``)^(``power`` - 1))² + ``floor``².

    Of an atom's energy or a force component with the standard deviation s of the last layer; t is the root mean square
    of s over the components of a force. Of all powers and ratios of floor and factor the most likely ones were taken,
    then 90 % of the errors of n frames, or (n + 1) / n times as many, are within ± 1.645 σ: so many that 90 % are to be
    expected of others. The curve shows the calibration structures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    factor: Annotated[float, Field(gt=0)]
    floor: Annotated[float, Field(ge=0)]
    power: Annotated[float, Field(gt=0)] = 1.0
    typical: Annotated[float, Field(gt=0)] = 1.0
    curve: tuple[CurvePoint, ...]


class UncertaintyRecord(BaseModel):
    """How the uncertainty of a potential was made.

    Attributes:
        method: in words.
        features: inputs of the last layer.
        members: last layers drawn from the posterior, for forces; 0: no uncertainty of forces.
        frames, sha256: training frames whose rows made the covariance, and the hash of their content in order.
        of_frames: how many there were to choose from.
        noise: root mean square errors that weigh the rows, eV and eV/Å.
        calibrated_on: ``validation`` or, where there were no such frames, ``training``.
        calibration_frames, calibration_sha256: as ``frames`` and ``sha256``.
        calibration: by quantity.
        frame_quantiles: of the σ of force components in a calibration frame (RMS over its atoms, eV/Å), by share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = "last-layer prediction rigidity (arXiv:2403.02251)"
    features: Annotated[int, Field(ge=1)]
    members: Annotated[int, Field(ge=0)]
    frames: Annotated[int, Field(ge=1)]
    of_frames: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    noise: dict[QuantityName, float]
    calibrated_on: str
    calibration_frames: Annotated[int, Field(ge=1)]
    calibration_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    calibration: dict[QuantityName, Calibration]
    frame_quantiles: dict[str, float] = Field(default_factory=dict)

    @property
    def largest(self) -> float | None:
        """Largest σ of forces in a calibration frame (RMS over its atoms, eV/Å), None without one of forces."""
        return self.frame_quantiles.get("1")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the program computes on request."""
        return tuple(f"{name}_uncertainty" for name in ("energy", "energies", *(["forces"] if self.members else [])))

    def in_words(self) -> str:
        """A line of ``mlff inspect``."""
        names = " and ".join(quantity(name).title for name in self.calibration)
        return f"of {names}, from {self.frames} training frames, calibrated on {self.calibration_frames} {self._kind}"

    @property
    def _kind(self) -> str:
        return f"{self.calibrated_on} frames"
