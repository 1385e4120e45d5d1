"""What trajectories of simulations and rollouts have in common on disk."""

from __future__ import annotations

import numpy as np
import pytest

from md_drivers import StructureError
from md_drivers.common import trajectory_files
from md_drivers.common.trajectory_files import cut_files, read_frames, set_dcd_frames, synced_sizes


@pytest.mark.parametrize("suffix", ["dcd", "xtc"])
@pytest.mark.parametrize("boxes", [False, True])
def test_files_are_read_in_parts_and_cut(suffix, boxes, tmp_path, monkeypatch):
    mdtraj = pytest.importorskip("mdtraj")
    monkeypatch.setattr(trajectory_files, "_ATOMS_AT_ONCE", 11)  # two frames of five atoms
    topology = mdtraj.Topology()
    residue = topology.add_residue("MOL", topology.add_chain())
    for k in range(5):
        topology.add_atom(f"C{k}", mdtraj.element.carbon, residue)
    xyz = np.random.default_rng(0).uniform(-2, 2, (7, 5, 3)).astype(np.float32)
    box = {"unitcell_lengths": np.full((7, 3), 5.0), "unitcell_angles": np.full((7, 3), 90.0)} if boxes else {}
    path = tmp_path / f"trajectory.{suffix}"
    mdtraj.Trajectory(xyz[:3], topology, **{name: values[:3] for name, values in box.items()}).save(str(path))
    sizes = synced_sizes([path, tmp_path / "missing"])
    mdtraj.Trajectory(xyz, topology, **box).save(str(path))

    parts = list(read_frames(path, 5, boxes=boxes))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    np.testing.assert_allclose(np.concatenate(parts), 10 * xyz, atol=0.006)
    cut_files(tmp_path, sizes, "it was saved")
    if suffix == "dcd":
        set_dcd_frames(path, 3, 3)
    np.testing.assert_allclose(mdtraj.load(str(path), top=topology).xyz, xyz[:3], atol=6e-4)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StructureError, match="it was saved when it had"):
        cut_files(tmp_path, sizes, "it was saved")
