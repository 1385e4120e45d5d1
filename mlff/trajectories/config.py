"""Typed configuration of balanced sampling; without torch, so that trainings are checked before it is imported."""

from __future__ import annotations

from pydantic import Field

from mlff.support.settings import Section


class BalanceConfig(Section):
    """How sources are reweighted: TICA (Pérez-Hernández et al., J. Chem. Phys. 139, 015102 (2013)), then k-means.

    EquiJump (arXiv:2410.09667) draws a cluster first and a frame of it second.
    """

    fraction: float = Field(default=0.5, ge=0, le=1, description="share of sources drawn cluster by cluster")
    lag: float = Field(default=10.0, gt=0, description="ps, of TICA; rounded to frames")
    dimensions: int = Field(default=2, ge=1)
    clusters: int = Field(default=128, ge=1, description="fewer where they would have less than 20 frames each")
    seed: int = Field(default=0, ge=0)
