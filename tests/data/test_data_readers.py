"""Round trips through every file format, unit conversion, stress conventions."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixCartesian
from ase.db import connect
from ase.io import write

from mlff.data import DataError, DataKeys, DataUnits, read_frames, read_isolated_atoms
from mlff.data.frame import fixed_atoms


def write_as(path, frames):
    if path.suffix == ".db":
        with connect(path) as database:
            for atoms in frames:
                database.write(atoms, run=atoms.info["run"])
    else:
        write(path, frames, format="traj" if path.suffix == ".traj" else "extxyz")
    return path


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz", "a.xyz.gz", "a.extxyz.gz", "a.traj", "a.db"])
def test_formats_keep_labels_cells_constraints_and_order(tmp_path, slabs, name):
    written = slabs(4)
    read = read_frames(write_as(tmp_path / name, written), group_by="run")
    assert [frame.index for frame in read] == [0, 1, 2, 3]
    assert [frame.group for frame in read] == ["run0", "run0", "run0", "run1"]
    for frame, atoms in zip(read, written, strict=True):
        assert frame.energy == pytest.approx(atoms.calc.results["energy"], abs=1e-7)
        np.testing.assert_allclose(frame.forces, atoms.calc.results["forces"], atol=1e-7)
        np.testing.assert_allclose(frame.atoms.positions, atoms.positions, atol=1e-7)
        np.testing.assert_allclose(frame.atoms.cell.array, atoms.cell.array, atol=1e-7)
        assert frame.atoms.pbc.tolist() == [True, True, False]
        assert frame.atoms.numbers.tolist() == atoms.numbers.tolist()
        assert fixed_atoms(frame.atoms).tolist() == [True] * 4 + [False] * 9
        assert frame.atoms.calc is None
        # Forces on held atoms stay what the calculation gave.
        assert np.abs(frame.forces[:4]).max() > 1e-3


def test_many_files_are_read_in_order_and_number_their_own_frames(tmp_path, molecules):
    frames = molecules(3)
    write(tmp_path / "b.xyz", frames[:2], format="extxyz")
    write(tmp_path / "a.traj", frames[2:])
    read = read_frames([tmp_path / "b.xyz", str(tmp_path / "a.traj")], group_by="file")
    assert [(frame.source.name, frame.index) for frame in read] == [("b.xyz", 0), ("b.xyz", 1), ("a.traj", 0)]
    assert read[0].group == read[1].group != read[2].group


@pytest.mark.parametrize("suffix", ["xyz", "traj", "db"])
def test_labels_outside_the_calculator_are_found(tmp_path, molecules, suffix):
    source = molecules(1)[0]
    atoms = source.copy()
    # Trajectories keep no arrays but ASE's own; there the forces travel in `info`.
    (atoms.info if suffix == "traj" else atoms.arrays)["dft_force"] = source.get_forces()
    if suffix == "db":
        with connect(tmp_path / "x.db") as database:
            labels = {"e_dft": source.get_potential_energy()}
            database.write(source.copy(), key_value_pairs=labels, data={"dft_force": source.get_forces()})
    else:
        atoms.info["e_dft"] = source.get_potential_energy()
        write(tmp_path / f"x.{suffix}", atoms, format="extxyz" if suffix == "xyz" else "traj")
    (frame,) = read_frames(tmp_path / f"x.{suffix}", keys=DataKeys(energy="e_dft", forces="dft_force"))
    assert frame.energy == pytest.approx(source.get_potential_energy(), abs=1e-7)
    np.testing.assert_allclose(frame.forces, source.get_forces(), atol=1e-7)


def test_two_values_under_one_key_are_refused(tmp_path, molecules):
    atoms = molecules(1)[0]
    atoms.info["energy"] = atoms.get_potential_energy() + 1.0
    write(tmp_path / "x.traj", atoms)
    with pytest.raises(DataError, match=r"x\.traj, frame 0: .*'energy' is stored twice"):
        read_frames(tmp_path / "x.traj")


@pytest.mark.parametrize("blank", ["\n", "   \n\n"])
def test_blank_lines_between_frames_lose_nothing(tmp_path, molecules, blank):
    for part, atoms in zip("ab", molecules(2), strict=True):
        write(tmp_path / f"{part}.xyz", atoms, format="extxyz")
    text = blank.join((tmp_path / f"{part}.xyz").read_text() for part in "ab")
    (tmp_path / "joined.xyz").write_text(text + blank)
    assert len(read_frames(tmp_path / "joined.xyz")) == 2


def test_gzip_is_recognised_by_content(tmp_path, molecules):
    write(tmp_path / "a.xyz", molecules(2), format="extxyz")
    (tmp_path / "zipped.xyz").write_bytes(gzip.compress((tmp_path / "a.xyz").read_bytes()))
    assert len(read_frames(tmp_path / "zipped.xyz")) == 2


@pytest.mark.parametrize("layout", ["rmd17", "md17"])
def test_npz_layouts_in_kcal_per_mol(tmp_path, molecules, layout):
    frames = molecules(3)
    # The factor that the rMD17 authors print.
    kcal = 0.0433641153
    energies = np.array([atoms.get_potential_energy() for atoms in frames]) / kcal
    forces = np.array([atoms.get_forces() for atoms in frames]) / kcal
    positions = np.array([atoms.positions for atoms in frames])
    numbers = frames[0].numbers.astype(np.uint8)
    if layout == "rmd17":
        np.savez(tmp_path / "m.npz", nuclear_charges=numbers, coords=positions, energies=energies, forces=forces)
    else:
        np.savez(tmp_path / "m.npz", z=numbers, R=positions, E=energies[:, None], F=forces, name="argon", theory="LJ")
    with pytest.raises(DataError, match=r"m\.npz: npz files carry no units; set `units.energy`"):
        read_frames(tmp_path / "m.npz")
    read = read_frames(tmp_path / "m.npz", units=DataUnits(energy="kcal/mol"))
    for frame, atoms in zip(read, frames, strict=True):
        assert frame.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-6)
        np.testing.assert_allclose(frame.forces, atoms.get_forces(), rtol=1e-6, atol=1e-9)
        assert not frame.atoms.pbc.any()


@pytest.mark.parametrize(
    ("energy", "length", "forces"),
    [
        ("eV", "A", None),
        ("Hartree", "Bohr", None),
        ("kJ/mol", "nm", None),
        ("kcal/mol", "A", None),
        ("Rydberg", "A", "Rydberg/Bohr"),
        ("Hartree", "A", "eV/A"),
        ("meV", "A", None),
    ],
)
def test_forces_are_the_gradient_of_the_energy_in_every_unit(tmp_path, molecules, energy, length, forces):
    in_ev = {
        "eV": 1.0,
        "meV": 1e-3,
        "Hartree": units.Hartree,
        "Rydberg": units.Rydberg,
        "kJ/mol": units.kJ / units.mol,
        "kcal/mol": units.kcal / units.mol,
    }
    in_a = {"A": 1.0, "Bohr": units.Bohr, "nm": 10.0}
    force_energy, _, force_length = (forces or f"{energy}/{length}").rpartition("/")
    centre, step = molecules(1)[0], 1e-4
    frames = []
    for shift in (-step, 0.0, step):
        atoms = centre.copy()
        atoms.positions[2, 1] += shift
        atoms.calc = LennardJones(sigma=3.4, epsilon=0.01, rc=20.0)
        results = {
            "energy": atoms.get_potential_energy() / in_ev[energy],
            "forces": atoms.get_forces() / (in_ev[force_energy] / in_a[force_length]),
        }
        atoms.positions /= in_a[length]
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    write(tmp_path / "u.traj", frames)
    below, middle, above = read_frames(
        tmp_path / "u.traj", units=DataUnits(energy=energy, length=length, forces=forces)
    )
    distance = above.atoms.positions[2, 1] - below.atoms.positions[2, 1]
    assert distance == pytest.approx(2 * step, rel=1e-6)
    assert middle.forces[2, 1] == pytest.approx(-(above.energy - below.energy) / distance, rel=1e-5)


@pytest.mark.parametrize("convention", ["ase", "negative", "virial"])
@pytest.mark.parametrize("form", ["voigt", "nine", "matrix"])
def test_stress_is_the_strain_derivative_in_every_convention(tmp_path, convention, form):
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.05, seed=1)
    crystal.calc = EMT()
    step, energies = 1e-4, []
    for sign in (1, -1):
        strained = crystal.copy()
        strain = np.eye(3)
        strain[1, 2] = strain[2, 1] = sign * step / 2
        strained.set_cell(crystal.cell.array @ strain, scale_atoms=True)
        strained.calc = EMT()
        energies.append(strained.get_potential_energy())
    volume = crystal.get_volume()
    expected = (energies[0] - energies[1]) / (2 * step) / volume

    stress = crystal.get_stress(voigt=False)
    data_units = DataUnits(stress_convention=convention, stress="GPa")
    stored = {"ase": stress / units.GPa, "negative": -stress / units.GPa, "virial": -stress * volume}[convention]
    stored = {"voigt": stored[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], "nine": stored.reshape(9), "matrix": stored}[
        form
    ]
    atoms = crystal.copy()
    atoms.info["label"] = stored.tolist() if form == "matrix" else stored
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((4, 3)))
    write(tmp_path / "s.xyz", atoms, format="extxyz")
    (frame,) = read_frames(tmp_path / "s.xyz", keys=DataKeys(stress="label"), units=data_units)
    np.testing.assert_allclose(frame.stress, stress, atol=1e-7)
    assert frame.stress[1, 2] == pytest.approx(expected, abs=1e-7)
    assert abs(expected) > 1e-5


def test_stress_of_the_calculator_is_read_when_named(tmp_path):
    crystal = bulk("Cu", cubic=True)
    crystal.calc = EMT()
    stress = crystal.get_stress(voigt=False)
    crystal.get_forces()
    write(tmp_path / "s.xyz", crystal, format="extxyz")
    assert read_frames(tmp_path / "s.xyz")[0].stress is None
    read = read_frames(tmp_path / "s.xyz", keys=DataKeys(stress="stress"))[0].stress
    np.testing.assert_allclose(read, stress, atol=1e-7)


@pytest.mark.parametrize("key", ["stress", "virial"])
def test_six_numbers_of_extxyz_are_in_the_order_of_voigt(tmp_path, key):
    head = f'Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:forces:R:3 energy=1 {key}="1 2 3 4 5 6"'
    path = tmp_path / "s.xyz"
    path.write_text(f"1\n{head}\nH 0 0 0 1 2 3\n", encoding="utf-8-sig")  # with the mark that some editors write
    assert read_frames(path)[0].stress is None
    convention = {"stress": "ase", "virial": "virial"}[key]
    (frame,) = read_frames(path, keys=DataKeys(stress=key), units=DataUnits(stress_convention=convention))
    matrix = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    np.testing.assert_allclose(frame.stress, matrix if key == "stress" else -matrix / 27.0, rtol=1e-12)


def test_isolated_atoms_need_no_forces(tmp_path):
    atoms = []
    for symbol, energy in (("H", -13.6), ("O", -2041.9)):
        atom = Atoms(symbol)
        atom.info["E"] = energy
        atoms.append(atom)
    write(tmp_path / "iso.xyz", atoms, format="extxyz")
    assert read_isolated_atoms(tmp_path / "iso.xyz", keys=DataKeys(energy="E")) == {1: -13.6, 8: -2041.9}
    atoms.append(Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], info={"E": 1.0}))
    write(tmp_path / "iso.xyz", atoms, format="extxyz")
    with pytest.raises(DataError, match="frame 2: 2 atoms where one isolated atom"):
        read_isolated_atoms(tmp_path / "iso.xyz", keys=DataKeys(energy="E"))


def test_fully_masked_cartesian_constraints_hold_an_atom():
    atoms = Atoms("Ar3", positions=np.eye(3) * 4)
    atoms.set_constraint([FixCartesian(0), FixCartesian(1, mask=(True, False, True))])
    assert fixed_atoms(atoms).tolist() == [True, False, False]
