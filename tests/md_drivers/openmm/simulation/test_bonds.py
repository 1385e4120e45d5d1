"""Bonds that a structure file does not list are found and told; molecules that a box cuts are made whole."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from openmm import app, unit
from support.openmm_systems import read_positions
from support.pdb_files import write_pdb

from md_drivers.openmm.simulation.structure import read_structure

MOLECULES = {"CH3OH": 5, "CH3CH2OH": 8, "C6H6": 12, "H2O": 2, "CH3SH": 5, "H2O2": 3, "HCN": 2, "Si2H6": 7, "H2": 1}
WORDS = "the file does not list all bonds of MOL 1: {} were found by distance"


def bonds_of(path: Path, periodic: bool | None = None) -> tuple[list[tuple[int, int]], np.ndarray]:
    structure = read_structure(path, periodic)
    pairs = sorted((min(b[0].index, b[1].index), max(b[0].index, b[1].index)) for b in structure.topology.bonds())
    return pairs, structure.positions


@pytest.mark.parametrize("name", MOLECULES)
@pytest.mark.parametrize("boxed", [False, True])
def test_bonds_of_molecules(tmp_path, caplog, name, boxed) -> None:
    """All of them, in a box whose corner lies within the molecule as well."""
    atoms = molecule(name)
    if boxed:
        atoms.set_cell([14.0, 15.0, 16.0])
        atoms.pbc = True
        atoms.wrap()
    path = write_pdb(tmp_path / "m.pdb", atoms)
    pairs, positions = bonds_of(path)
    assert len(pairs) == MOLECULES[name]
    assert WORDS.format(len(pairs)) in caplog.text
    assert str(path) in caplog.text
    lengths = [np.linalg.norm(positions[i] - positions[j]) for i, j in pairs]
    assert max(lengths) < 2.5  # whole
    inside = molecule(name).get_all_distances()
    np.testing.assert_allclose(np.linalg.norm(positions[:, None] - positions[None], axis=-1), inside, atol=2e-3)


def test_a_triclinic_box_and_two_molecules(tmp_path, caplog) -> None:
    """Of different residues; only the one without bonds is searched."""
    cell = np.array([[12.0, 0.0, 0.0], [3.0, 11.0, 0.0], [2.0, -3.0, 13.0]])
    both = molecule("CH3OH")
    other = molecule("CH3OH")
    other.positions += 0.5 * cell.sum(0)
    atoms = both + other
    atoms.set_cell(cell)
    atoms.pbc = True
    atoms.wrap()
    topology, chain = app.Topology(), None
    chain = topology.addChain()
    for k in range(2):
        residue = topology.addResidue("MOL", chain)
        for i, symbol in enumerate(both.symbols):
            topology.addAtom(f"{symbol}{i}", app.Element.getBySymbol(symbol), residue)
        if k == 0:
            own = list(residue.atoms())
            for i, j in ((0, 1), (0, 2), (0, 4), (0, 5), (1, 3)):
                topology.addBond(own[i], own[j])
    topology.setPeriodicBoxVectors(cell * unit.angstrom)
    with open(tmp_path / "two.cif", "w") as file:
        app.PDBxFile.writeFile(topology, atoms.positions * unit.angstrom, file)
    pairs, positions = bonds_of(tmp_path / "two.cif")
    assert len(pairs) == 10
    assert "bonds of MOL 2: 5 were found" in caplog.text
    assert all(np.linalg.norm(positions[i] - positions[j]) < 1.6 for i, j in pairs)


def test_bonds_that_conect_lists_in_part(tmp_path, caplog) -> None:
    """Two fragments of ethanol, held together by what is found."""
    path = write_pdb(tmp_path / "m.pdb", molecule("CH3CH2OH"))
    whole, _ = bonds_of(path)
    text = path.read_text().replace("END", "".join(f"CONECT{i + 1:5d}{j + 1:5d}\n" for i, j in whole[:5]) + "END")
    path.write_text(text)
    caplog.clear()
    assert bonds_of(path)[0] == whole
    assert WORDS.format(3) in caplog.text
    caplog.clear()
    path.write_text(text.replace("END", "".join(f"CONECT{i + 1:5d}{j + 1:5d}\n" for i, j in whole[5:]) + "END"))
    assert bonds_of(path)[0] == whole
    assert not caplog.records


@pytest.mark.parametrize("listed", [False, True])
def test_a_modified_residue_keeps_its_place_in_the_chain(tmp_path, caplog, dipeptide_file, listed) -> None:
    """Alanine by a name without template: its bond to the residue before, and its own where not listed."""
    pairs, _ = bonds_of(dipeptide_file)
    assert not caplog.records
    text = dipeptide_file.read_text()
    lines = [line for line in text.replace("ALA", "XAA").splitlines(keepends=True) if not line.startswith("CONECT")]
    own = [(i, j) for i, j in pairs if i >= 6 and j <= 15] if listed else []
    lines[-1:] = [*(f"CONECT{i + 1:5d}{j + 1:5d}\n" for i, j in own), "END\n"]
    (tmp_path / "x.pdb").write_text("".join(lines))
    assert bonds_of(tmp_path / "x.pdb")[0] == pairs
    assert "XAA 2" in caplog.text
    assert f": {1 if listed else 10} were found" in caplog.text


@pytest.mark.parametrize(
    "atoms",
    [
        fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True, orthogonal=True),
        bulk("Cu", cubic=True) * 2,
        Atoms("Ar3", [[0, 0, 0], [3.8, 0, 0], [0, 3.8, 0]]),
    ],
    ids=["slab", "crystal", "argon"],
)
def test_metals_and_noble_gases_have_none(tmp_path, atoms) -> None:
    assert bonds_of(write_pdb(tmp_path / "m.pdb", atoms))[0] == []


def test_an_adsorbate_on_a_metal(tmp_path, caplog) -> None:
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0, periodic=True, orthogonal=True)
    top = slab.positions[-1]
    atoms = slab + Atoms("CO", [np.add(top, (0, 0, 1.85)), np.add(top, (0, 0, 3.0))])
    assert bonds_of(write_pdb(tmp_path / "m.pdb", atoms))[0] == [(8, 9)]
    assert WORDS.format(1) in caplog.text


def test_torn_molecules_without_a_box_are_told(tmp_path, caplog) -> None:
    atoms = molecule("CH3OH")
    atoms.positions[3] += 20.0
    pairs, _ = bonds_of(write_pdb(tmp_path / "m.pdb", atoms))
    assert len(pairs) == 4
    assert "no bonds in the file and none by distance: atom 3 (H3 of MOL 1)" in caplog.text


def test_networks_without_end_stay_where_they_are(tmp_path) -> None:
    """Diamond: every bond is found, and no image is better than another."""
    atoms = bulk("C", "diamond", a=3.567, cubic=True) * 2
    pairs, positions = bonds_of(write_pdb(tmp_path / "m.pdb", atoms))
    assert len(pairs) == 2 * len(atoms)
    np.testing.assert_allclose(positions, atoms.positions, atol=1e-3)


def test_frames_have_whole_molecules(dynamics, tmp_path, caplog) -> None:
    atoms = molecule("CH3OH")
    atoms.set_cell([12.0] * 3)
    atoms.pbc = True
    atoms.wrap()
    result = dynamics(structure=write_pdb(tmp_path / "m.pdb", atoms), steps=5, report_interval=1, time_step=0.1)
    topology = app.PDBFile(str(result.folder / "topology.pdb")).topology
    (path,) = result.folder.glob("trajectory.*")
    frames = read_positions(path, topology)
    assert all(np.linalg.norm(x[i] - x[j]) < 4.0 for x in frames for i, j in itertools.combinations(range(6), 2))
    assert "were made whole" in caplog.text
