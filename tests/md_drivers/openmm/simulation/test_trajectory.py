"""Frames and tables: what is written is read, and what is cut back can go on."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import openmm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openmm import app, unit
from support.openmm_systems import read_positions

from md_drivers.common.trajectory_files import read_table
from md_drivers.openmm.simulation.results import Sample
from md_drivers.openmm.simulation.settings import SimulationSettings
from md_drivers.openmm.simulation.trajectory import Recorder, cut_back

INTERVAL, TIME_STEP = 5, 0.5  # steps, fs


def topology_of(atoms: int, periodic: bool) -> app.Topology:
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    for k in range(atoms):
        topology.addAtom(f"C{k}", app.element.carbon, residue)
    if periodic:
        topology.setUnitCellDimensions(openmm.Vec3(3.0, 3.0, 3.0) * unit.nanometer)
    return topology


def samples_of(count: int, atoms: int, periodic: bool, seed: int) -> list[Sample]:
    rng = np.random.default_rng(seed)
    box = np.array([[30.0, 0, 0], [3.0, 29.0, 0], [-2.0, 4.0, 31.0]]) if periodic else None
    made = []
    for k in range(1, count + 1):
        volume = None if box is None else float(np.linalg.det(box))
        positions = rng.uniform(-20, 20, (atoms, 3))
        values = (*rng.normal(-100, 30, 2), 300.0, volume, None if box is None else 1.0)
        made.append(Sample(k * INTERVAL, k * INTERVAL * TIME_STEP * 1e-3, *values, positions, box))
    return made


@settings(max_examples=25)
@given(
    trajectory_format=st.sampled_from(["dcd", "xtc"]),
    atoms=st.integers(1, 30),
    periodic=st.booleans(),
    counts=st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)),
    seed=st.integers(0, 1000),
)
def test_cut_and_continued(trajectory_format, atoms, periodic, counts, seed):
    """``kept`` frames, some more that a checkpoint does not know of, then others in their place."""
    if trajectory_format == "xtc":
        pytest.importorskip("mdtraj")
    kept, lost, more = counts
    topology = topology_of(atoms, periodic)
    plan = SimulationSettings(trajectory_format=trajectory_format, report_interval=INTERVAL, time_step=TIME_STEP)
    samples = samples_of(kept + lost, atoms, periodic, seed)
    others = samples_of(kept + more, atoms, periodic, seed + 1)[kept:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trajectory, table = folder / f"trajectory.{trajectory_format}", folder / "state.csv"
        recorder = Recorder(trajectory, table, topology, plan)
        sizes = recorder.sizes()
        for sample in samples:
            recorder.add(sample)
            if recorder.frames == kept:
                sizes = recorder.sizes()
        cut_back(folder, sizes, kept, INTERVAL)
        recorder = Recorder(trajectory, table, topology, plan, frames=kept)
        for sample in others:
            recorder.add(sample)
        expected = samples[:kept] + others
        if trajectory_format == "dcd" or expected:
            found = read_positions(trajectory, topology)
            exact = 1e-5 if trajectory_format == "dcd" else 0.006
            np.testing.assert_allclose(found, [sample.positions for sample in expected] or found, atol=exact)
            assert len(found) == len(expected)
        rows = read_table(table)
        np.testing.assert_array_equal(rows["step"], [sample.step for sample in expected])
        np.testing.assert_allclose(rows["total_eV"], [sample.total for sample in expected], rtol=1e-12)
        assert ("volume_A3" in rows) == periodic


@pytest.mark.parametrize("trajectory_format", ["dcd", "xtc"])
def test_other_programs_read_them(trajectory_format, tmp_path):
    mdtraj = pytest.importorskip("mdtraj")
    topology = topology_of(12, periodic=True)
    plan = SimulationSettings(trajectory_format=trajectory_format, report_interval=INTERVAL, time_step=TIME_STEP)
    trajectory = tmp_path / f"trajectory.{trajectory_format}"
    recorder = Recorder(trajectory, tmp_path / "state.csv", topology, plan)
    samples = samples_of(3, 12, True, 0)
    for sample in samples:
        recorder.add(sample)
    loaded = mdtraj.load(str(trajectory), top=mdtraj.Topology.from_openmm(topology))
    np.testing.assert_allclose(10 * loaded.xyz, read_positions(trajectory, topology), atol=1e-4)
    lengths = np.linalg.norm(samples[0].box, axis=1)
    np.testing.assert_allclose(10 * loaded.unitcell_lengths, np.tile(lengths, (3, 1)), rtol=1e-5)
    if trajectory_format == "xtc":  # MDTraj does not read times from DCD
        np.testing.assert_allclose(loaded.time, [sample.time for sample in samples], rtol=1e-5)
