"""Zero forces on held atoms are no labels, and labels do not contradict each other."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import (
    FixAtoms,
    FixBondLengths,
    FixCartesian,
    FixCom,
    FixedLine,
    FixedMode,
    FixedPlane,
    FixInternals,
    FixLinearTriatomic,
    FixScaled,
    FixSubsetCom,
    Hookean,
)  # fmt: skip
from ase.io import write

from mlff.data import DataConfig, DataError, DataKeys, DataUnits, GraphDataset, collate, load_splits, read_frames
from mlff.data.frame import fixed_atoms
from mlff.potential.training.fixed_atoms import force_atoms

TILTED = FixedLine(0, [1, 1, 0])


def labelled(constraint: object, forces: np.ndarray) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(constraint)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces)
    return atoms


@pytest.mark.parametrize(
    ("constraint", "held"),
    [
        (FixAtoms([0]), [0]),
        (FixCartesian(0), [0]),
        (FixCartesian(0, mask=[True, False, False]), [0]),
        (FixCartesian([0, 2], mask=[False, True, True]), [0, 2]),
        (FixScaled([0], mask=[True, True, False]), [0]),
        (FixedLine(0, [0, 0, 1]), [0]),
        (TILTED, [0]),
        (FixedPlane([0, 1], [1, 1, 1]), [0, 1]),
        (FixBondLengths([[0, 1]]), [0, 1]),
        (FixedMode(np.eye(12)[:4].sum(0).reshape(4, 3)), [0, 1]),
        (FixSubsetCom([1, 2]), [1, 2]),
        (FixInternals(bonds=[[None, [0, 1]]]), [0, 1, 2, 3]),  # takes rotations as well, which cells may have
        ([FixAtoms([3]), FixedLine(0, [0, 0, 1])], [0, 3]),
        ([FixCartesian(0, mask=[True, False, False]), FixCartesian(0, mask=[False, True, True])], [0]),
    ],
)
def test_components_that_constraints_hold_are_left_out_where_they_are_zero(tmp_path, caplog, constraint, held):
    raw = np.random.default_rng(1).normal(size=(4, 3))
    atoms = labelled(constraint, raw)
    projected = raw.copy()
    for one in atoms.constraints:
        one.adjust_forces(atoms, projected)
    partial = any(not isinstance(one, FixAtoms) for one in atoms.constraints)
    for forces, left_out in ((projected, held), (raw, [])):
        caplog.clear()
        write(tmp_path / "x.traj", labelled(constraint, forces))
        with caplog.at_level(logging.WARNING, "mlff"):
            frames = read_frames(tmp_path / "x.traj")
        graph = GraphDataset(frames, 3.0)[0]
        for rule, expected in (("auto", left_out), ("include", [])):
            counted = force_atoms(collate([graph, graph]), rule)
            missing = [] if counted is None else (~counted[:4]).nonzero()[:, 0].tolist()
            assert missing == expected, rule
        said = "x.traj: in 1 frames, first in frame 0, forces are zero where constraints hold atoms" in caplog.text
        full = not partial or (isinstance(constraint, FixCartesian) and constraint.mask.all())
        assert said == (forces is projected and not full)
    assert set(np.flatnonzero(fixed_atoms(read_frames(tmp_path / "x.traj")[0].atoms))) <= set(held)


@pytest.mark.parametrize(
    ("constraint", "held"),
    [
        (FixInternals(angles_deg=[[None, [2, 0, 1]]]), [0, 1, 2]),
        (FixInternals(dihedrals_deg=[[None, [2, 0, 1, 5]]], bonds=[[None, [0, 2]]]), [0, 1, 2, 5]),
        (FixCom(), [0, 1, 2, 3, 4, 5]),
    ],
)
@pytest.mark.parametrize("unit", ["A", "nm"])
def test_what_is_held_in_a_molecule(tmp_path, constraint, held, unit) -> None:
    """Forces of a molecule neither move nor turn it: that `FixInternals` takes such forces takes nothing away."""
    atoms = molecule("CH3OH")
    atoms.calc = EMT()
    raw = atoms.get_forces()
    if unit == "nm":
        atoms.positions *= 0.1
    projected = raw.copy()
    constraint.adjust_forces(atoms, projected)
    for forces, left_out in ((projected, held), (raw, [])):
        atoms.set_constraint(constraint)
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces)
        write(tmp_path / "x.traj", atoms)
        (frame,) = read_frames(tmp_path / "x.traj", units=DataUnits(length=unit))
        graph = GraphDataset([frame], 3.0)[0]
        assert graph.partly_fixed.nonzero()[:, 0].tolist() == left_out
        assert np.flatnonzero(fixed_atoms(frame.atoms)).tolist() == left_out


def test_linear_molecules_that_are_rigid(tmp_path):
    atoms = molecule("CO2", pbc=True, cell=[9.0, 9.0, 9.0])
    raw = np.random.default_rng(2).normal(size=(3, 3))
    projected, constraint = raw.copy(), FixLinearTriatomic([[1, 0, 2]])
    constraint.adjust_forces(atoms, projected)
    for forces, left_out in ((projected, [0, 1, 2]), (raw, [])):
        atoms.set_constraint(constraint)
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces)
        write(tmp_path / "x.traj", atoms)
        assert np.flatnonzero(fixed_atoms(read_frames(tmp_path / "x.traj")[0].atoms)).tolist() == left_out


def test_a_constraint_that_cannot_be_applied_is_named(tmp_path):
    atoms = labelled(FixBondLengths([[0, 7]]), np.zeros((4, 3)))
    write(tmp_path / "x.traj", atoms)
    with pytest.raises(DataError, match=r"x\.traj, frame 0: has a constraint FixBondLengths that cannot be applied"):
        read_frames(tmp_path / "x.traj")


@pytest.mark.parametrize("constraint", [FixCom(), Hookean(0, 1, k=1.0, rt=5.0)])
def test_constraints_that_hold_no_atom_leave_all_labels(tmp_path, constraint):
    forces = np.zeros((4, 3))
    write(tmp_path / "x.traj", labelled(None, forces))
    (frame,) = read_frames(tmp_path / "x.traj")
    frame.atoms.set_constraint(constraint)
    counted = force_atoms(GraphDataset([frame], 3.0)[0], "auto")
    assert counted is None or bool(counted.all())


def waters(*energies: float) -> list[Atoms]:
    """One geometry with several labels between others of its kind."""
    frames = []
    for shift, energy in [*((0.0, energy) for energy in energies), (0.02, -300.0), (0.04, -300.0)]:
        atoms = molecule("H2O")
        atoms.positions[0, 2] += shift
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=0.1 * atoms.positions)
        frames.append(atoms)
    return frames


@pytest.mark.parametrize(("second", "differs"), [(-300.0, False), (-300.0005, False), (-299.9, True), (-250.0, True)])
def test_equal_structures_with_other_labels_are_refused(tmp_path, caplog, second, differs):
    frames = waters(-300.0, second)
    write(tmp_path / "x.extxyz", frames)
    split = {"kind": "random", "train": 3, "val": 1}

    def load(**options):
        return load_splits(DataConfig(paths=(tmp_path / "x.extxyz",), split=split, **options))

    if not differs:
        assert len(load().train) >= 1
        return
    with pytest.raises(
        DataError, match=r"x\.extxyz, frame [01]: .*x\.extxyz, frame [01], with other labels: energy by"
    ):
        load()
    with caplog.at_level(logging.WARNING, "mlff"):
        load(allow_duplicates=True)
    assert "1 frames have other labels than an equal structure" in caplog.text
    frames[1].calc.results.update(energy=-300.0, forces=frames[1].calc.results["forces"] + 0.1)
    write(tmp_path / "x.extxyz", frames)
    with pytest.raises(DataError, match=r"with other labels: forces by 0\.1 eV/Å"):
        load()


def test_labels_that_were_not_asked_for_never_stop_a_frame(tmp_path):
    head = 'Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:forces:R:3:magmoms:R:1 energy=-1 stress=None'
    (tmp_path / "x.extxyz").write_text(f"1\n{head} dipole='a b'\nCu 0 0 0 0 0 0 None\n")
    (frame,) = read_frames(tmp_path / "x.extxyz")
    assert set(frame.labels) == {"energy", "forces"}
    with pytest.raises(DataError, match=r"frame 0: stress is not numeric"):
        read_frames(tmp_path / "x.extxyz", keys=DataKeys(stress="stress"))


SPELLINGS = ["'1 2 3 4 5 6'", "{1 2 3 4 5 6}", '"[1, 2, 3, 4, 5, 6]"', '"_JSON [1, 2, 3, 4, 5, 6]"', "[1,2,3,4,5,6]"]
SPELLINGS += ['"_JSON [[1, 6, 5], [6, 2, 4], [5, 4, 3]]"', '"1 6 5 6 2 4 5 4 3"', '"[[1,6,5],[6,2,4],[5,4,3]]"']


@pytest.mark.parametrize("form", SPELLINGS)
@pytest.mark.parametrize("key", ["stress", "REF_stress", "virial"])
def test_stress_in_every_spelling(tmp_path, form, key):
    head = 'Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1'
    (tmp_path / "x.extxyz").write_text(f"1\n{head} {key}={form}\nCu 0 0 0 0 0 0\n")
    (frame,) = read_frames(tmp_path / "x.extxyz", keys=DataKeys(stress=key))
    np.testing.assert_array_equal(frame.stress, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


def test_cells_that_cannot_hold_their_atoms_are_named(tmp_path):
    head = 'Lattice="1 0 0 0 1 0 0 0 1" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1'
    (tmp_path / "x.extxyz").write_text(f"1\n{head}\nCu 0 0 0 0 0 0\n")
    with pytest.raises(DataError, match=r"x\.extxyz, frame 0: a cell of 1 x 1 x 1 A \(1 A\^3\) cannot hold 1 atoms"):
        read_frames(tmp_path / "x.extxyz")


def test_frames_may_lack_what_is_optional(tmp_path):
    (tmp_path / "x.extxyz").write_text("1\nenergy=-1\nCu 0 0 0\n")
    (frame,) = read_frames(tmp_path / "x.extxyz", optional=("forces",))
    assert set(frame.labels) == {"energy"}
    with pytest.raises(DataError, match="no forces under the key"):
        read_frames(tmp_path / "x.extxyz", optional=("energy",))
