"""Jumps for ASE: the same as a rollout, hydrogens that ride, ASE's habits."""

from __future__ import annotations

import io

import ase.io
import mdtraj
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io.trajectory import Trajectory
from scipy.spatial.transform import Rotation

import md_drivers
from md_drivers.jumps import JumpDynamics, JumpFailed, RolloutSettings, rollout
from md_drivers.jumps.dynamics import topology_of
from md_drivers.jumps.hydrogens import RidingHydrogens
from md_drivers.jumps.state import State
from mlff.proteins import CloudLayout


@pytest.fixture
def atoms(dipeptide) -> Atoms:
    return ase.io.read(dipeptide)


def test_the_jumps_are_those_of_a_rollout(atoms, dipeptide, jump, tmp_path):
    dynamics = JumpDynamics(atoms, jump, 10.0, seed=3)
    assert dynamics.run(4)
    rollout(dipeptide, jump, tmp_path / "out", steps=4, settings=RolloutSettings(lag=10.0, seed=3))
    state = State.read(tmp_path / "out" / "state.npz", (1, 3, 3, 15))
    layout = dynamics.jumper.layout
    cloud = layout.cloud(torch.from_numpy(atoms.positions[dynamics.jumper.heavy]))
    # The file has 0.001 Å, and MDTraj reads it in single precision.
    np.testing.assert_allclose(cloud.coordinates.numpy(), state.coordinates[0], rtol=0, atol=1e-5)
    assert dynamics.get_time() / ase.units.fs == pytest.approx(40_000.0)


def test_hydrogens_keep_their_bonds_and_their_side(atoms, jump):
    old = atoms.positions.copy()
    dynamics = JumpDynamics(atoms, jump, 10.0)
    dynamics.run(3)
    hydrogens = dynamics.jumper.hydrogens
    assert len(hydrogens) == 12
    parents = [int(np.delete(np.arange(22), hydrogens)[k]) for k in _nearest(old, hydrogens)]
    before = np.linalg.norm(old[hydrogens] - old[parents], axis=1)
    after = np.linalg.norm(atoms.positions[hydrogens] - atoms.positions[parents], axis=1)
    np.testing.assert_allclose(after, before, atol=1e-10)
    assert np.abs(atoms.positions - old).max() > 0.01
    assert _outside(old)
    assert _outside(atoms.positions)


def _nearest(positions: np.ndarray, hydrogens: np.ndarray) -> list[int]:
    heavy = np.delete(positions, hydrogens, axis=0)
    return np.linalg.norm(positions[hydrogens][:, None] - heavy, axis=-1).argmin(1).tolist()


def _outside(positions: np.ndarray) -> bool:
    """Whether HA is on the other side of CA than N, CB and C (indices in the file)."""
    nitrogen, alpha, hydrogen, beta, carbon = positions[[6, 8, 9, 10, 14]]
    return bool((hydrogen - alpha) @ (nitrogen + beta + carbon - 3 * alpha) < 0)


def test_riding_hydrogens_follow_rigid_motions_exactly(atoms):
    layout = CloudLayout.of(topology_of(atoms))
    heavy = layout.heavy_atoms.numpy()
    light = np.setdiff1d(np.arange(len(atoms)), heavy)
    old_heavy, old_light = atoms.positions[heavy], atoms.positions[light]
    riding = RidingHydrogens(layout, old_heavy, old_light)
    np.testing.assert_allclose(riding.place(old_heavy, old_light, old_heavy), old_light, atol=1e-12)
    turn = Rotation.random(random_state=2).as_matrix()
    placed = riding.place(old_heavy, old_light, old_heavy @ turn.T + 3.0)
    np.testing.assert_allclose(placed, old_light @ turn.T + 3.0, atol=1e-12)


def test_structures_without_hydrogens(atoms, jump):
    heavy = atoms[[atom.symbol != "H" for atom in atoms]]
    JumpDynamics(heavy, jump, 10.0).run(2)
    with_hydrogens = JumpDynamics(atoms, jump, 10.0)
    with_hydrogens.run(2)
    np.testing.assert_allclose(heavy.positions, atoms.positions[with_hydrogens.jumper.heavy], atol=1e-10)


def test_habits_of_ase(atoms, jump, tmp_path):
    log, seen = io.StringIO(), []
    dynamics = JumpDynamics(atoms, jump, 20.0, trajectory=tmp_path / "jumps.traj", logfile=log, loginterval=2)
    dynamics.attach(lambda: seen.append(dynamics.nsteps), interval=3)
    assert list(dynamics.irun(4)) == [False, False, False, False, True]
    dynamics.run(2)
    assert seen == [0, 3, 6]
    with Trajectory(tmp_path / "jumps.traj") as trajectory:
        assert len(trajectory) == 4  # 0, 2, 4, 6
        np.testing.assert_array_equal(trajectory[-1].positions, atoms.positions)
        assert trajectory.description["sha256"] == jump.sha256
    lines = log.getvalue().splitlines()
    assert lines[0].split()[0] == "step"
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(7))
    assert float(lines[-1].split()[1]) == 120.0


def test_wrong_use(atoms, jump, model_path):
    with pytest.raises(ValueError, match="not trained for a lag of 3 ps"):
        JumpDynamics(atoms, jump, 3.0)
    with pytest.raises(ValueError, match="of kind 'potential'"):
        JumpDynamics(atoms, model_path, 10.0)
    with pytest.raises(md_drivers.StructureError, match="lack the arrays residuenames, residuenumbers, atomtypes"):
        JumpDynamics(Atoms("CO"), jump, 10.0)
    fixed = atoms.copy()
    fixed.set_constraint(FixAtoms([0]))
    with pytest.raises(md_drivers.StructureError, match="constraints"):
        JumpDynamics(fixed, jump, 10.0)
    far = atoms.copy()
    far.positions[1] += 5.0
    with pytest.raises(md_drivers.StructureError, match=r"a hydrogen is .* from its nearest heavy atom"):
        JumpDynamics(far, jump, 10.0)
    broken = atoms.copy()
    broken.positions[16:] += 5.0
    with pytest.raises(md_drivers.StructureError, match="broken chain"):
        JumpDynamics(broken, jump, 10.0)


def test_chains_without_names_are_told_apart_by_their_numbers(atoms):
    twice = atoms + atoms
    assert [chain.n_residues for chain in topology_of(twice).chains] == [3, 3]
    assert isinstance(topology_of(twice), mdtraj.Topology)


def test_a_jump_that_breaks_the_molecule_is_not_made(atoms, stray_path):
    old = atoms.positions.copy()
    with pytest.raises(JumpFailed, match="jump 1 broke the molecule"):
        JumpDynamics(atoms, stray_path, 10.0).run(1)
    np.testing.assert_array_equal(atoms.positions, old)
