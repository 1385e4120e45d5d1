"""A data set of jumps whose dynamics are known: atoms that fluctuate independently about one structure."""

from __future__ import annotations

import json
from pathlib import Path

import mdtraj
import numpy as np

from support.peptide_structures import heavy_trajectory

#: Å, standard deviation of each coordinate.
FLUCTUATION = 0.04


def fluctuating_data(folder: Path, split: str) -> Path:
    """Ten trajectories of alanine dipeptide that fluctuates, 295 ps each, a frame every 5 ps."""
    frame, rng = heavy_trajectory("A"), np.random.default_rng(0)
    system = folder / "ACE-ALA-NME"
    system.mkdir(parents=True)
    frame.save_pdb(system / "topology.pdb")
    for k in range(10):
        xyz = np.repeat(frame.xyz, 60, axis=0) + rng.normal(scale=0.1 * FLUCTUATION, size=(60, *frame.xyz.shape[1:]))
        mdtraj.Trajectory(xyz, frame.topology, time=5.0 * np.arange(60)).save_xtc(str(system / f"{k}.xtc"))
    files = [f"{k}.xtc" for k in range(10)]
    record = {"split": split, "topology": "topology.pdb", "frame_interval": 5.0, "trajectories": files}
    (system / "system.json").write_text(json.dumps(record))
    return folder
