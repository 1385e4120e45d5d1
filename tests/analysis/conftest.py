"""Dynamics with known answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")

from support.jumping_dipeptide import jumping_trajectories
from support.peptide_structures import heavy_trajectory

from mlff.analysis import Ensemble

MakeTrajectories = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def dipeptide(peptide_packages: None) -> Any:
    """ACE-ALA-NME, one frame of heavy atoms."""
    return heavy_trajectory("A")


@pytest.fixture(scope="session")
def jumping(dipeptide: Any) -> MakeTrajectories:
    """``jumping_trajectories`` of the dipeptide."""
    return partial(jumping_trajectories, dipeptide)


@pytest.fixture(scope="session")
def reference(jumping: MakeTrajectories) -> Ensemble:
    """Basins left with 0.02 and 0.01 per ps: populations 1 : 2, a relaxation time of -1 / ln 0.97 = 32.8 ps."""
    return Ensemble.of("MD", jumping(12, 2000, (0.02, 0.01), 1), 1.0)
