"""Trajectories on a full disk are errors, also where the library that writes them says nothing."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from mlff.support.xtc import check_xtc, write_xtc

pytest.importorskip("mdtraj", reason="the extra 'equijump' brings it")
FRAMES = 4


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Of this process, as where a disk is full; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("atoms", [1, 9, 10, 11, 22])
def test_every_cut_of_an_xtc_file_is_seen(tmp_path, atoms):
    from mdtraj.formats import XTCTrajectoryFile

    path, frames = tmp_path / "a.xtc", np.random.default_rng(0).normal(size=(FRAMES, atoms, 3))
    write_xtc(path, frames, np.arange(FRAMES), np.arange(FRAMES))
    with XTCTrajectoryFile(str(path)) as file:
        assert np.allclose(file.read()[0], frames, atol=1e-3)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(OSError, match="is the disk full"):
            check_xtc(path, 0, FRAMES)
    path.write_bytes(content + content)
    check_xtc(path, len(content), FRAMES)
    check_xtc(path, 0, 2 * FRAMES)


@pytest.mark.parametrize("kind", ["xtc", "dcd"])
def test_frames_of_rollouts(tmp_path, kind):
    from md_drivers.jumps.frames import FrameFiles
    from md_drivers.jumps.settings import RolloutSettings

    atoms, frames = 22, np.random.default_rng(0).normal(size=(FRAMES, 22, 3))

    def write(name: str) -> bytes:
        (tmp_path / name).mkdir()
        files = FrameFiles(tmp_path / name, atoms, RolloutSettings(lag=10.0, trajectory_format=kind))
        files.add(0, np.arange(1, FRAMES + 1), frames)
        return files.trajectories[0].read_bytes()

    whole = len(write("whole"))
    for size in [*range(0, whole, 61), whole - 1]:
        with no_file_beyond(size), pytest.raises(OSError):
            write(str(size))
        left = [path.name for path in (tmp_path / str(size)).iterdir() if path.suffix == ".tmp"]
        assert left == []


def test_frames_of_simulations(tmp_path):
    app = pytest.importorskip("openmm.app", reason="the extra 'openmm' brings it")
    from md_drivers.openmm.simulation.results import Sample
    from md_drivers.openmm.simulation.settings import SimulationSettings
    from md_drivers.openmm.simulation.trajectory import Recorder

    topology = app.Topology()
    residue = topology.addResidue("CU", topology.addChain())
    for _ in range(22):
        topology.addAtom("CU", None, residue)
    positions = np.random.default_rng(0).normal(size=(22, 3))
    sample = Sample(0, 0.0, 0.0, 0.0, 0.0, None, None, positions, None)

    def write(name: str) -> int:
        settings = SimulationSettings(trajectory_format="xtc")
        recorder = Recorder(tmp_path / f"{name}.xtc", tmp_path / f"{name}.csv", topology, settings)
        for _ in range(FRAMES):
            recorder.add(sample)
        return recorder.trajectory.stat().st_size

    whole = write("whole")
    for size in [*range(100, whole, 61), whole - 1]:
        with no_file_beyond(size), pytest.raises(OSError):
            write(str(size))
