"""Alanine dipeptide whose ψ jumps between two basins at known rates: dynamics with known answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")

from support.peptide_structures import heavy_trajectory  # noqa: E402

from mlff.analysis import Ensemble  # noqa: E402

PSI_BASINS = np.radians([-40.0, 140.0])
MakeTrajectories = Callable[..., list[Any]]


def turned(xyz: np.ndarray, start: int, end: int, moving: list[int], angles: np.ndarray) -> np.ndarray:
    """Atoms turned about the bond from start to end, by an angle for each frame (Rodrigues' formula)."""
    axis = xyz[:, end] - xyz[:, start]
    axis = (axis / np.linalg.norm(axis, axis=-1, keepdims=True))[:, None]
    arm = xyz[:, moving] - xyz[:, [start]]
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    out = xyz.copy()
    along = (arm * axis).sum(-1, keepdims=True)
    out[:, moving] = xyz[:, [start]] + arm * cosine + np.cross(axis, arm) * sine + axis * along * (1 - cosine)
    return out


@pytest.fixture(scope="session")
def dipeptide(peptide_packages: None) -> Any:
    """ACE-ALA-NME, one frame of heavy atoms."""
    return heavy_trajectory("A")


@pytest.fixture(scope="session")
def jumping(dipeptide: Any) -> MakeTrajectories:
    """Trajectories of the dipeptide, a frame every ps: ψ jumps between its basins, all else fluctuates."""
    atoms = {(atom.residue.name, atom.name): atom.index for atom in dipeptide.topology.atoms}
    ca, c = atoms["ALA", "CA"], atoms["ALA", "C"]
    beyond = [atoms["ALA", "O"], atoms["NME", "N"], atoms["NME", "C"]]
    psi_now = float(mdtraj.compute_psi(dipeptide, periodic=False)[1][0, 0])

    def make(count: int, frames: int, rates: tuple[float, float], seed: int) -> list[Any]:
        """``rates`` to leave the first and the second basin, per frame."""
        rng = np.random.default_rng(seed)
        trajectories = []
        for _ in range(count):
            state, states = int(rng.random() < rates[0] / sum(rates)), []
            for draw in rng.random(frames):
                states.append(state)
                state = 1 - state if draw < rates[state] else state
            wobble = np.zeros(frames)
            for t, kick in enumerate(rng.normal(size=frames)):
                wobble[t] = 0.5 * wobble[t - 1] + 0.2 * kick
            start = np.repeat(dipeptide.xyz.astype(np.float64), frames, axis=0)
            xyz = turned(start, ca, c, beyond, PSI_BASINS[states] + wobble - psi_now)
            xyz += rng.normal(scale=0.0015, size=xyz.shape)
            trajectories.append(mdtraj.Trajectory(xyz, dipeptide.topology, time=np.arange(frames)))
        return trajectories

    return make


@pytest.fixture(scope="session")
def reference(jumping: MakeTrajectories) -> Ensemble:
    """Basins left with 0.02 and 0.01 per ps: populations 1 : 2, a relaxation time of -1 / ln 0.97 = 32.8 ps."""
    return Ensemble.of("MD", jumping(12, 2000, (0.02, 0.01), 1), 1.0)
