"""What can be chosen in an analysis."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlff.proteins.validity import ValidityLimits
from mlff.support.settings import Section

TargetSet = Literal["seen", "held-out"]


class AnalysisSettings(Section):
    """Settings of an analysis; every field has a default."""

    targets: TargetSet | None = Field(default=None, description="to compare with; None: by the split of the system")
    compare: Literal["test", "all"] = Field(default="test", description="trajectories of the reference to compare with")
    lags: tuple[float, ...] = Field(default=(), description="ps, of the Markov models; empty: chosen from the data")
    tica_lag: float | None = Field(default=None, gt=0, description="ps; None: the first lag of at least 10 ps")
    markov_lag: float | None = Field(
        default=None, gt=0, description="ps, at which kinetics are compared; None: plateau"
    )
    clusters: int = Field(default=75, ge=2, le=1000, description="of the k-means clustering")
    components: int = Field(default=4, ge=2, le=20, description="TICA coordinates that are clustered")
    splits: int = Field(default=40, ge=20, description="split halves of the reference")
    bootstrap: int = Field(default=100, ge=20, description="resamples")
    controls: bool = Field(default=True, description="measure the three controls")
    limits: ValidityLimits = Field(default_factory=ValidityLimits)
    seed: int = Field(default=0, ge=0)
