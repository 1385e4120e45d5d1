"""Trajectories of a process whose jumps are known: every heavy atom of alanine dipeptide on a spring of its own."""

from pathlib import Path

import numpy as np
import pytest
import yaml

INTERVAL = 1.0  # ps
RELAXATION = 5.0  # ps
SPREAD = 0.04  # Å, about that of bonds at 1000 K


def ornstein_uhlenbeck(frames: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """[frames, *shape] in Å, stationary, with exp(-t / RELAXATION) correlation."""
    random = np.random.default_rng(seed)
    keep = np.exp(-INTERVAL / RELAXATION)
    values = np.empty((frames, *shape))
    values[0] = random.normal(size=shape)
    kicks = np.sqrt(1 - keep**2) * random.normal(size=(frames - 1, *shape))
    for k in range(1, frames):
        values[k] = keep * values[k - 1] + kicks[k - 1]
    return SPREAD * values


@pytest.fixture(scope="session")
def springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A description of two training and one validation trajectory."""
    mdtraj = pytest.importorskip("mdtraj")
    folder = tmp_path_factory.mktemp("springs")
    start = mdtraj.load(str(Path(__file__).parents[3] / "examples" / "alanine_dipeptide.pdb"))
    start = start.atom_slice(start.topology.select("element != H"))
    start.save_pdb(str(folder / "topology.pdb"))
    entries = []
    for number, split in enumerate(("train", "train", "val")):
        moved = 10 * start.xyz + ornstein_uhlenbeck(300, start.xyz.shape[1:], number)
        mdtraj.Trajectory(moved / 10, start.topology).save_dcd(str(folder / f"{number}.dcd"))
        entries.append({"file": f"{number}.dcd", "split": split})
    record = {"topology": "topology.pdb", "frame_interval": INTERVAL, "trajectories": entries}
    (folder / "springs.yaml").write_text(yaml.safe_dump(record))
    return folder / "springs.yaml"
