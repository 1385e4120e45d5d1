"""Cells change along periodic directions alone, energies are the model's, and resumed runs go on as they began."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc110
from ase.calculators.calculator import PropertyNotImplementedError
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixedLine, Hookean
from ase.io import read, write

from md_drivers import MLFFCalculator, StructureError, relax
from md_drivers.ase.selection import select_atoms


def wire(axis: int) -> Atoms:
    """Two Cu atoms a period of 4.8 Å along x, y or z, with vacuum around."""
    positions = np.zeros((2, 3))
    positions[1, axis] = 2.3
    cell = np.full(3, 12.0)
    cell[axis] = 4.8
    return Atoms("Cu2", positions=positions, cell=cell, pbc=np.arange(3) == axis)


def turned_slab() -> Atoms:
    slab = fcc110("Cu", (1, 1, 3), a=3.7, vacuum=6.0)
    slab.rotate(35, (1, 2, 3), rotate_cell=True)
    return slab


@pytest.mark.parametrize(
    "atoms", [wire(0), wire(1), wire(2), fcc110("Cu", (1, 1, 3), a=3.7, vacuum=6.0), turned_slab()]
)
@pytest.mark.parametrize("kind", ["unit", "exp", "frechet"])
def test_open_directions_of_a_cell_stay(model, caplog, atoms, kind):
    with caplog.at_level("WARNING", "md_drivers"):
        (result,) = relax(atoms, model, cell=kind, steps=4, fmax=1e-4, dtype="float64")
    change = np.abs(result.atoms.cell.array - atoms.cell.array).max(axis=1)
    assert change[~atoms.pbc].max() < 1e-9
    assert change[atoms.pbc].min() > 1e-4
    assert f"open along {''.join(np.array(list('abc'))[~atoms.pbc])}: only the periodic directions" in caplog.text


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"pbc": False}, {}, "needs a periodic direction"),
        ({}, {"pressure": 0.01}, "open along c"),
        ({}, {"hydrostatic": True}, "open along c"),
        ({}, {"cell_mask": [0, 0, 1, 1, 1, 0]}, "leaves strains along open directions"),
        ({"cell": [[2.6, 0, 0], [0, 3.7, 0], [0.5, 0, 15]]}, {}, "not perpendicular"),
    ],
)
def test_cells_that_cannot_be_relaxed_are_refused(model, tmp_path, change, options, message):
    slab = fcc110("Cu", (1, 1, 3), a=3.7, vacuum=6.0)
    for name, value in change.items():
        setattr(slab, name, value)
    with pytest.raises(StructureError, match=message):
        relax(slab, model, tmp_path / "out", cell="frechet", **options)
    assert not (tmp_path / "out").exists()


def test_a_stress_along_open_directions_is_said_once(model, caplog):
    slab = turned_slab()
    slab.calc = MLFFCalculator(model)
    with caplog.at_level("WARNING", "md_drivers"):
        for _ in range(2):
            stress = slab.get_stress(voigt=False)
            slab.positions[0, 0] += 0.01
    assert caplog.text.count("those along open ones are zero") == 1
    np.testing.assert_allclose(stress @ np.cross(*slab.cell.array[:2]), 0, atol=1e-12)
    assert np.abs(stress).max() > 1e-4
    slab.pbc = False
    slab.get_forces()
    assert "stress" not in slab.calc.results
    with pytest.raises(PropertyNotImplementedError, match="periodic direction"):
        slab.get_stress()


def test_energies_of_constraints_are_named_apart(model, tmp_path):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 3.0]])
    free = MLFFCalculator(model).get_property("energy", atoms)
    atoms.set_constraint(Hookean(0, 1, k=2.0, rt=2.0))
    (result,) = relax({"x": atoms}, model, tmp_path, steps=0, figure=False)
    (row,) = json.loads((tmp_path / "summary.json").read_text())["structures"]
    written = read(tmp_path / "x" / "relaxed.extxyz")
    step = read(result.trajectory)
    for energy in (result.energy, row["energy_eV"], written.get_potential_energy(), step.calc.results["energy"]):
        assert energy == pytest.approx(free, rel=1e-9)
    for energy in (result.constraint_energy, row["constraint_energy_eV"], written.info["constraint_energy"]):
        assert energy == pytest.approx(0.5 * 2.0 * (3.0 - 2.0) ** 2, rel=1e-9)  # Hooke
    (plain,) = relax({"x": Atoms("Cu2", positions=atoms.positions)}, model, tmp_path / "free", steps=0, figure=False)
    (row,) = json.loads((tmp_path / "free" / "summary.json").read_text())["structures"]
    assert plain.constraint_energy == 0.0
    assert "constraint_energy_eV" not in row


def constrained(*constraints: object) -> Atoms:
    crystal = bulk("Cu", a=3.7, cubic=True)
    crystal.rattle(0.05, seed=1)
    crystal.set_constraint(list(constraints))
    return crystal


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({"cell": "frechet", "pressure": 0.01}, {"cell": "frechet", "pressure": 0.02}, "pressure was 0.01, now 0.02"),
        ({"cell": "unit"}, {}, "cell was 'unit', now None"),
        ({"cell": "unit"}, {"cell": "frechet"}, "cell was 'unit', now 'frechet'"),
        ({"cell": "unit"}, {"cell": "unit", "cell_mask": [1, 1, 1, 0, 0, 0]}, "cell_mask was None"),
        ({"cell": "unit"}, {"cell": "unit", "hydrostatic": True}, "hydrostatic was False, now True"),
        ({"fix": [0]}, {"fix": [1]}, "other atoms were fixed"),
        ({"fix": [0]}, {}, "1 atoms were fixed, now 0"),
        ({"fix": "index:0-1"}, {"fix": [True, True, False, False]}, None),
        ({"cell": "frechet", "pressure": 0.01}, {"cell": "frechet", "pressure": 0.01, "optimizer": "BFGS"}, None),
    ],
)
def test_resumed_with_other_settings(model, tmp_path, first, second, named):
    relax(constrained(), model, tmp_path, figure=False, steps=1, fmax=1e-4, **first)
    if named is None:
        assert (
            relax(constrained(), model, tmp_path, figure=False, steps=2, fmax=1e-4, resume=True, **second)[0].steps == 2
        )
        return
    before = (tmp_path / "structure" / "trajectory.traj").read_bytes()
    with pytest.raises(StructureError, match=named):
        relax(constrained(), model, tmp_path, figure=False, steps=2, fmax=1e-4, resume=True, **second)
    assert (tmp_path / "structure" / "trajectory.traj").read_bytes() == before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Hookean(0, 1, k=1.0, rt=1.0), Hookean(0, 1, k=2.0, rt=1.0)),
        (FixedLine(0, [0, 0, 1]), FixedLine(0, [0, 1, 0])),
        (FixCartesian(0, [True, False, False]), FixCartesian(0, [True, True, False])),
        (FixBondLengths([[0, 1]]), FixBondLengths([[0, 2]])),
        (FixAtoms([0]), FixedLine(0, [0, 0, 1])),
    ],
)
def test_resumed_with_other_constraints(model, tmp_path, first, second):
    relax(constrained(first), model, tmp_path, figure=False, steps=1, fmax=1e-4)
    with pytest.raises(StructureError, match="other settings"):
        relax(constrained(second), model, tmp_path, figure=False, steps=2, fmax=1e-4, resume=True)
    assert relax(constrained(first), model, tmp_path, figure=False, steps=2, fmax=1e-4, resume=True)[0].steps == 2


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda mask: list(np.array(mask))])
def test_masks_are_masks(kind):
    atoms = Atoms("Cu4", positions=np.arange(12.0).reshape(4, 3))
    assert select_atoms(atoms, kind([False, True, False, True])).tolist() == [1, 3]
    assert select_atoms(atoms, kind([False] * 4)).tolist() == []
    with pytest.raises(StructureError, match="3 entries for 4 atoms"):
        select_atoms(atoms, kind([False, True, True]))


def test_masks_and_numbers_do_not_mix():
    with pytest.raises(StructureError, match="not as both"):
        select_atoms(Atoms("Cu4"), [True, 1, False, 0])


def test_structures_that_cannot_be_are_refused_before_a_folder_is_made(model, tmp_path):
    for atoms, message in (
        (Atoms("Cu4", positions=np.eye(4, 3), cell=[1, 1, 1], pbc=True), "cannot hold 4 atoms"),
        (bulk("Cu"), "partial occupancy"),
    ):
        atoms.info["occupancy"] = {"0": {"Cu": 0.5}} if "partial" in message else {}
        with pytest.raises(StructureError, match=message):
            relax(atoms, model, tmp_path / "out")
    write(tmp_path / "x.xyz", bulk("Cu", cubic=True))
    text = (tmp_path / "x.xyz").read_text()
    (tmp_path / "x.xyz").write_text(text.replace('pbc="T T T"', 'pbc="T T"'))
    with pytest.raises(StructureError, match=r"cannot read .*x\.xyz.* line 2 .*three of T and F"):
        relax(tmp_path / "x.xyz", model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("before", "now", "told"), [("unit", "unit", 1), ("unit", None, 1), (None, "unit", 1), (None, None, 0)]
)
def test_a_trajectory_that_notes_no_settings_is_told(model, tmp_path, caplog, before, now, told):
    """As versions wrote it that noted none."""
    relax(constrained(), model, tmp_path, figure=False, steps=1, fmax=1e-4, cell=before)
    path = tmp_path / "structure" / "trajectory.traj"
    write(path, read(path, ":"))
    relax(constrained(), model, tmp_path, figure=False, steps=2, fmax=1e-4, resume=True, cell=now)
    assert caplog.text.count("its trajectory notes no cell settings (earlier versions wrote none)") == told
