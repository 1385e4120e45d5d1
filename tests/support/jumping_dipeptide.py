"""Alanine dipeptide whose ψ jumps between two basins at known rates: dynamics with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.peptide_structures import mdtraj

PSI_BASINS = np.radians([-40.0, 140.0])


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


def jumping_trajectories(dipeptide: Any, count: int, frames: int, rates: tuple[float, float], seed: int) -> list[Any]:
    """Trajectories with a frame every ps: ψ jumps between its basins, all else trembles.

    ``rates`` to leave the first and the second basin, per frame.
    """
    atoms = {(atom.residue.name, atom.name): atom.index for atom in dipeptide.topology.atoms}
    ca, c = atoms["ALA", "CA"], atoms["ALA", "C"]
    beyond = [atoms["ALA", "O"], atoms["NME", "N"], atoms["NME", "C"]]
    psi_now = float(mdtraj.compute_psi(dipeptide, periodic=False)[1][0, 0])
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
