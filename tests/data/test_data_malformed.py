"""Every kind of bad input gives a DataError that names file, frame and reason."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from support.labels import labels_of

from mlff.data import DataError, DataKeys, DataUnits, Frame, GraphDataset, read_frames

HEADER = 'Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 pbc="F F F"'
ATOM = "Ar 0.0 0.0 0.0 0.1 0.0 0.0\n"


def frame_text(header: str = HEADER, atoms: str = ATOM, count: int = 1) -> str:
    return f"{count}\n{header}\n{atoms}"


BAD_FRAMES = {
    "no energy": (frame_text(HEADER.replace("energy=-1.0 ", "")), "no energy under the key 'energy'.*forces"),
    "no forces": (frame_text("energy=1.0", "Ar 0 0 0\n"), "no forces under the key 'forces'"),
    "energy without value": (frame_text(HEADER.replace("energy=-1.0", "energy")), "energy is not numeric"),
    "energy a word": (frame_text(HEADER.replace("-1.0", "low")), "energy is not numeric"),
    "energy a vector": (frame_text(HEADER.replace("-1.0", '"1.0 2.0"')), r"energy have shape \(2,\)"),
    "nan energy": (frame_text(HEADER.replace("-1.0", "nan")), "energy contains NaN"),
    "nan force": (frame_text(atoms=ATOM.replace("0.1", "nan")), "forces contains NaN or infinity"),
    "infinite position": (frame_text(atoms="Ar inf 0 0 0 0 0\n"), "positions contains NaN or infinity"),
    "two force columns": (
        frame_text(HEADER.replace("forces:R:3", "forces:R:2"), "Ar 0 0 0 0 0\n"),
        r"forces have shape \(1, 2\), expected \(1, 3\)",
    ),
    "no such element": (frame_text(atoms=ATOM.replace("Ar", "Qq")), "cannot be parsed"),
    "dummy element": (frame_text(atoms=ATOM.replace("Ar", "X")), "holds X; "),
    "missing column": (frame_text(atoms="Ar 0.0 0.0 0.0 0.1\n"), "cannot be parsed"),
    "number with a letter": (frame_text(atoms=ATOM.replace("0.1", "0.1x")), "cannot be parsed"),
    "header is a word": ("one\n" + HEADER + "\n" + ATOM, "line 4: expected the number of atoms, found 'one'"),
    "negative count": ("-1\n" + HEADER + "\n" + ATOM, "line 4: expected the number of atoms"),
    "one atom too many": (frame_text() + ATOM, "expected the number of atoms"),
    "truncated": (frame_text(count=3), "truncated: 1 of 3 atoms"),
    "count only": ("2\n", "truncated: 0 of 2 atoms"),
    "no atoms": (frame_text(atoms="", count=0), "has no atoms"),
    "zero volume": (
        frame_text(HEADER.replace("F F F", "T T F") + ' Lattice="4 0 0 0 0 0 0 0 4"'),
        r"axis 1 is periodic .* has no length.*; give the cell or set pbc to F",
    ),
    "flat cell": (
        frame_text(HEADER.replace("F F F", "T T T") + ' Lattice="4 0 0 0 4 0 4 4 0"'),
        "span zero volume",
    ),
    "thin cell": (
        frame_text(HEADER.replace("F F F", "T T T") + ' Lattice="4 0 0 0 4 0 0 0 0.3"'),
        "axis 2 is periodic .* has no length",
    ),
    "nan cell": (frame_text(HEADER + ' Lattice="nan 0 0 0 4 0 0 0 4"'), "cell contains NaN"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_extxyz_frames_are_named(tmp_path, bad, reason):
    path = tmp_path / "bad.extxyz"
    path.write_text(frame_text() + bad)
    with pytest.raises(DataError, match=reason) as caught:
        read_frames(path)
    assert caught.value.file == path
    # The frame before is good; "one atom too many" shows only where the next frame should begin.
    assert caught.value.frame in (1, 2)
    assert str(caught.value).startswith(f"{path}, frame {caught.value.frame}: ")
    assert caught.value.hint or "shape" in str(caught.value)


def test_the_same_good_frame_is_accepted(tmp_path):
    path = tmp_path / "good.extxyz"
    path.write_text(frame_text() + frame_text(HEADER.replace("F F F", "T F F") + ' Lattice="4 0 0 0 0 0 0 0 0"'))
    assert [frame.energy for frame in read_frames(path)] == [-1.0, -1.0]


@pytest.mark.parametrize("suffix", [".extxyz", ".xyz.gz", ".traj", ".db", ".npz"])
@pytest.mark.parametrize("content", [b"", b"this is no data file at all\n" * 40])
def test_empty_and_foreign_files(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_frames(path, units=DataUnits(energy="eV"))


@pytest.mark.parametrize("name", ["x.extxyz", "x.extxyz.gz", "x.traj", "x.db", "x.npz"])
@pytest.mark.parametrize("part", [0.43, 0.97])
def test_truncated_files(tmp_path, molecules, name, part):
    frames, path = molecules(40), tmp_path / name
    if path.suffix == ".npz":
        labels = {"energies": [a.get_potential_energy() for a in frames], "forces": [a.get_forces() for a in frames]}
        np.savez(path, nuclear_charges=frames[0].numbers, coords=[a.positions for a in frames], **labels)
    else:
        write(path, frames)
    assert len(read_frames(path, units=DataUnits(energy="eV"))) == 40
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_frames(path, units=DataUnits(energy="eV"))


def test_missing_file_folder_and_suffix(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_frames(tmp_path / "absent.xyz")
    with pytest.raises(DataError, match="is not a file"):
        read_frames(tmp_path)
    (tmp_path / "x.dat").write_text(frame_text())
    with pytest.raises(DataError, match=r"x\.dat: unknown file suffix; known: \.extxyz"):
        read_frames(tmp_path / "x.dat")
    assert len(read_frames(tmp_path / "x.dat", format="extxyz")) == 1
    (tmp_path / "blank.xyz").write_text("\n\n")
    with pytest.raises(DataError, match="holds no frames"):
        read_frames(tmp_path / "blank.xyz")


def npz_arrays() -> dict[str, np.ndarray]:
    return {
        "nuclear_charges": np.array([18, 18]),
        "coords": np.arange(18.0).reshape(3, 2, 3),
        "energies": np.zeros(3),
        "forces": np.zeros((3, 2, 3)),
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"forces": np.zeros((3, 3, 2))}, r"forces have shape \(3, 3, 2\), expected \(3, 2, 3\)"),
        ({"forces": None}, "no array named forces or F; available: coords"),
        ({"energies": np.zeros(2)}, r"energy have shape \(2,\), expected \(3,\)"),
        ({"coords": np.zeros((2, 3))}, "coordinates have shape"),
        ({"coords": np.array(1.0)}, "coordinates have shape"),
        ({"nuclear_charges": np.array([1.0, 8.0])}, "nuclear charges have shape .* type float64"),
        ({"nuclear_charges": np.array([18, 18, 18])}, "coordinates have shape"),
        ({"lattice": np.eye(3)}, "periodic npz files are not supported"),
        ({"energies": np.array([object()] * 3)}, "not a readable npz file"),
        ({"forces": np.full((3, 2, 3), np.nan)}, "frame 0: forces contains NaN"),
    ],
)
def test_bad_npz(tmp_path, change, reason):
    arrays = {name: array for name, array in (npz_arrays() | change).items() if array is not None}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=reason):
        read_frames(tmp_path / "x.npz", units=DataUnits(energy="eV"))


def test_unknown_species_against_a_list(tmp_path, slabs):
    write(tmp_path / "x.traj", slabs(2))
    assert len(read_frames(tmp_path / "x.traj", species=[8, 29])) == 2
    with pytest.raises(DataError, match=r"x\.traj, frame 0: holds O; `species` lists only Cu; remove"):
        read_frames(tmp_path / "x.traj", species=[29])


@pytest.mark.parametrize(
    ("stress", "reason"),
    [
        (np.arange(5.0), r"stress has shape \(5,\)"),
        (np.arange(9.0), "stress is not symmetric"),
        ("none", "stress is not numeric"),
    ],
)
def test_bad_stress(tmp_path, slabs, stress, reason):
    atoms = slabs(1)[0]
    atoms.pbc = atoms.calc.atoms.pbc = True
    atoms.info["s"] = stress
    write(tmp_path / "x.traj", atoms)
    with pytest.raises(DataError, match=reason):
        read_frames(tmp_path / "x.traj", keys=DataKeys(stress="s"))
    with pytest.raises(DataError, match="no stress under the key 'virial'"):
        read_frames(tmp_path / "x.traj", keys=DataKeys(stress="virial"))


@pytest.mark.parametrize(("pbc", "words"), [([1, 1, 0], "T T F"), ([0, 0, 0], "F F F"), ([0, 1, 1], "F T T")])
def test_stress_along_open_directions(tmp_path, slabs, pbc, words):
    """A box around a molecule is no cell, and the vacuum of a slab has no length: as drivers say it."""
    atoms = slabs(1)[0]
    atoms.pbc = atoms.calc.atoms.pbc = pbc
    atoms.info["s"] = np.zeros(6)
    write(tmp_path / "x.extxyz", atoms)
    with pytest.raises(DataError, match=rf'x\.extxyz, frame 0: has a stress or virial but pbc="{words}": along open'):
        read_frames(tmp_path / "x.extxyz", keys=DataKeys(stress="s"))
    assert read_frames(tmp_path / "x.extxyz")[0].stress is None


@pytest.mark.parametrize("convention", ["ase", "virial"])
def test_stress_without_a_cell(tmp_path, molecules, convention):
    atoms = molecules(1)[0]
    atoms.info["s"] = np.ones(6)
    write(tmp_path / "x.traj", atoms)
    with pytest.raises(DataError, match=r"x\.traj, frame 0: .* zero volume; give the cell, .*`loss\.stress_weight: 0`"):
        read_frames(tmp_path / "x.traj", keys=DataKeys(stress="s"), units=DataUnits(stress_convention=convention))


def test_missing_group_key_lists_what_there_is(tmp_path, slabs):
    write(tmp_path / "x.traj", slabs(1))
    with pytest.raises(DataError, match=r"no info key 'trajectory' to group by; available: .*run"):
        read_frames(tmp_path / "x.traj", group_by="trajectory")


def test_coinciding_atoms_are_named():
    good = Frame(Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 3]]), labels_of(0.0, np.zeros((2, 3))), index=0)
    bad = Frame(
        Atoms("Ar3", positions=[[0, 0, 0], [0, 0, 3], [0, 0, 3.01]]),
        labels_of(0.0, np.zeros((3, 3))),
        index=7,
    )
    with pytest.raises(DataError, match=r"frame 7: atoms 1 and 2 are 0\.01 A apart"):
        GraphDataset([good, bad], 5.0)


def test_errors_cross_process_borders():
    error = DataError("reason", file="f.xyz", frame=3, hint="do this")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "f.xyz, frame 3: reason; do this"
    assert (copy.file, copy.frame, copy.reason, copy.hint) == (error.file, 3, "reason", "do this")
