"""CIF and PDB files say more than coordinates, and cells have to hold their atoms."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.io import write

from mlff.structures import located_format, mmcif, occupancy_fault, read_located, read_structures, room_fault
from mlff.structures.pdb import one_location
from mlff.support.errors import DataError

CIF = """data_x
_cell_length_a 3.6
_cell_length_b 3.6
_cell_length_c 3.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""


@pytest.mark.parametrize(
    ("group", "sites", "named"),
    [
        ("F m -3 m", "Cu1 Cu 0 0 0 0.55\nNi1 Ni 0 0 0 0.45", r"Cu1 \(0.55\), Ni1 \(0.45\)"),
        ("P 1", "Cu1 Cu 0 0 0 1\nCu2 Cu .5 .5 0 .5", r"Cu2 \(0.5\);"),
        ("P 1", "Cu1 Cu 0 0 0 0.98(2)\nCu2 Cu .5 .5 0 1", r"Cu1 \(0.98\);"),
        ("P 1", "Cu1 Cu 0 0 0 0", r"Cu1 \(0\);"),
        ("P 1", "Cu1 Cu 0 0 0 1.5", r"Cu1 \(1.5\);"),
    ],
)
def test_sites_of_partial_occupancy_are_named(tmp_path, group, sites, named):
    path = tmp_path / "x.cif"
    path.write_text(CIF.format(group=group, sites=sites))
    with pytest.raises(DataError, match=rf"x\.cif: partial occupancy of the sites {named}"):
        read_structures(path)


@pytest.mark.parametrize("occupancy", ["1", "1.0", "1.0000", "?", ".", "1.0(0)"])
def test_whole_sites_are_read(tmp_path, occupancy):
    path = tmp_path / "x.cif"
    path.write_text(CIF.format(group="P 1", sites=f"Cu1 Cu 0 0 0 {occupancy}\nCu2 Cu .5 .5 0 1"))
    atoms = read_structures(path)
    assert len(atoms) == 2
    assert not any(key.startswith("_") for key in atoms.info)


def test_occupancies_that_ase_noted_are_known(tmp_path):
    atoms = bulk("Cu")
    assert occupancy_fault(atoms) is None
    atoms.info["occupancy"] = {"0": {"Cu": 0.5, "Ni": 0.5}}
    assert "0 (Cu 0.5, Ni 0.5)" in str(occupancy_fault(atoms))
    write(tmp_path / "x.extxyz", atoms)
    with pytest.raises(DataError, match="partial occupancy"):
        read_structures(tmp_path / "x.extxyz")


def line(serial, name, letter, residue, number, x, occupancy, element="C", chain="A"):
    head = f"ATOM  {serial:5d} {name:<4s}{letter}{residue:>3s} {chain}{number:4d}    "
    return f"{head}{x:8.3f}{0.0:8.3f}{0.0:8.3f}{occupancy:6.2f}{0.0:6.2f}          {element:>2s}\n"


def kept(text):
    chosen, several = one_location(text)
    return [float(row[30:38]) for row in chosen.splitlines() if row.startswith("ATOM")], several


def test_the_location_of_highest_occupancy_is_kept():
    backbone = line(1, " N", " ", "SER", 1, 0.0, 1.0, "N")
    pair = line(2, " CB", "A", "SER", 1, 1.0, 0.4) + line(3, " CB", "B", "SER", 1, 2.0, 0.6)
    assert kept(backbone + pair) == ([0.0, 2.0], ["SER A 1"])
    # Equal occupancies: the first in the alphabet, for all atoms of the residue.
    equal = line(2, " CB", "B", "SER", 1, 1.0, 0.5) + line(3, " CB", "A", "SER", 1, 2.0, 0.5)
    equal += line(4, " OG", "A", "SER", 1, 3.0, 0.5) + line(5, " OG", "B", "SER", 1, 4.0, 0.5)
    assert kept(backbone + equal)[0] == [0.0, 2.0, 3.0]
    # One conformer, even where a single atom of the other one is more occupied.
    mixed = line(2, " CB", "A", "SER", 1, 1.0, 0.7) + line(3, " CB", "B", "SER", 1, 2.0, 0.3)
    mixed += line(4, " OG", "A", "SER", 1, 3.0, 0.45) + line(5, " OG", "B", "SER", 1, 4.0, 0.55)
    assert kept(mixed)[0] == [1.0, 3.0]
    # Atoms that one conformer alone lists, and letters that differ from atom to atom.
    only = pair + line(4, " OG", "A", "SER", 1, 3.0, 0.4)
    assert kept(only)[0] == [2.0, 3.0]
    # Several kinds of residues at one place.
    kinds = line(2, " OG", "A", "SER", 1, 1.0, 0.3) + line(3, " OG1", "B", "THR", 1, 2.0, 0.7)
    assert kept(kinds) == ([2.0], ["THR A 1"])
    # Single letters are not alternates; neither are equal numbers in other chains or models.
    assert kept(line(1, " O", "A", "HOH", 7, 1.0, 0.5) + line(2, " O", "B", "HOH", 8, 2.0, 0.5)) == ([1.0, 2.0], [])
    assert kept(line(1, " O", "A", "HOH", 7, 1.0, 0.5) + line(2, " O", "B", "HOH", 7, 2.0, 0.5, chain="B"))[1] == []
    models = "MODEL        1\n" + line(1, " O", "A", "HOH", 7, 1.0, 0.5) + "ENDMDL\nMODEL        2\n"
    assert kept(models + line(1, " O", "B", "HOH", 7, 2.0, 0.5) + "ENDMDL\n")[0] == [1.0, 2.0]


def test_models_of_a_pdb_file_share_its_cell_and_are_said_once(tmp_path, caplog):
    atoms = line(1, " CB", "A", "SER", 1, 1.0, 0.4) + line(2, " CB", "B", "SER", 1, 2.0, 0.6)
    body = "".join(f"MODEL        {k}\n{atoms}ENDMDL\n" for k in (1, 2, 3))
    cryst = "CRYST1   10.000   11.000   12.000  90.00  90.00  90.00 P 1           1\n"
    (tmp_path / "x.pdb").write_text(f"{cryst}{body}END\n")
    with caplog.at_level(logging.WARNING, "mlff"):
        models = read_structures(tmp_path / "x.pdb", slice(None))
    assert caplog.text.count("highest occupancy") == 1
    assert [len(model) for model in models] == [1, 1, 1]
    for model in (*models, read_structures(tmp_path / "x.pdb"), read_structures(tmp_path / "x.pdb", 0)):
        assert model.pbc.all()
        np.testing.assert_allclose(model.cell.lengths(), [10, 11, 12])
        assert model.positions[0, 0] == 2.0


@pytest.mark.parametrize(
    ("atoms", "fault"),
    [
        (molecule("H2O", cell=[1, 1, 1], pbc=True), r"1 x 1 x 1 A \(1 A\^3\) cannot hold 3 atoms"),
        (Atoms("Cu4", positions=np.eye(4, 3), cell=[0.36] * 3, pbc=True), "cannot hold 4 atoms"),
        (molecule("C6H6", cell=[2.5, 2.5, 2.5], pbc=True), "cannot hold 12"),
        (molecule("C6H6", cell=[1, 1, 40], pbc=(True, True, False)), "cannot hold 12"),
        (molecule("C60", cell=[1, 1, 1], pbc=(False, True, False)), "cannot hold 60"),
        (molecule("H2O", cell=[1, 1, 1], pbc=False), None),
        (molecule("H2O"), None),
        (bulk("Cu"), None),
        (bulk("C"), None),
        (fcc111("Cu", (1, 1, 3), vacuum=8.0), None),
        (Atoms("C2", positions=[[0, 0, 0], [1.2, 0, 0]], cell=[2.5, 0, 0], pbc=(True, False, False)), None),
        (Atoms("H2", positions=[[0, 0, 0], [0.9, 0.9, 0.9]], cell=[1.5] * 3, pbc=True), None),  # metallic hydrogen
        (Atoms(pbc=True, cell=[1, 1, 1]), None),
    ],
)
def test_cells_that_cannot_hold_their_atoms(atoms, fault):
    found = room_fault(atoms)
    assert found is None if fault is None else re.search(fault, str(found))


MMCIF = """data_x
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.auth_seq_id
_atom_site.auth_asym_id
_atom_site.pdbx_PDB_model_num
"""


def test_mmcif_files_keep_the_same_locations(tmp_path):
    rows = "ATOM 1 N N . SER A 1 0.0 0 0 1.00 5 B 1\n"
    pair = "ATOM 2 O \"O5'\" A SER A 1 1.0 0 0 0.40 5 B {0}\nATOM 3 O \"O5'\" B SER A 1 2.0 0 0 0.60 5 B {0}\n"
    water = "HETATM 4 O O A HOH W . 7.0 0 0 0.5 8 B 1\nHETATM 5 O O B HOH W . 8.0 0 0 0.5 9 B 1\n"
    tail = "# \nloop_\n_other.id\n1\n"
    text, several = mmcif.one_location(MMCIF + rows + pair.format(1) + water + pair.format(2) + tail)
    kept = [float(row.split()[8]) for row in text.splitlines() if row.startswith(("ATOM", "HETATM"))]
    assert (kept, several) == ([0.0, 2.0, 7.0, 8.0, 2.0], ["SER B 5"])
    assert text.endswith(tail)
    assert mmcif.one_location(tail) == (tail, [])
    (tmp_path / "x.cif").write_text(MMCIF + "ATOM 1 N N . SER A 1\n0.0 0 0 1.00 5 B 1\n")
    with pytest.raises(DataError, match=r"x\.cif: line 18 has 8 columns where _atom_site has 15; write each atom on"):
        read_located(tmp_path / "x.cif")


def test_primes_belong_to_the_names_of_mmcif_atoms():
    """A nucleotide: O2 of the base is another atom than O2' of the sugar."""
    rows = "ATOM 1 O O2 . U A 1 0.0 0 0 1.00 5 B 1\nATOM 2 C 'C2' . U A 1 3.0 0 0 1.00 5 B 1\n"
    rows += "ATOM 3 O \"O2'\" A U A 1 1.0 0 0 0.40 5 B 1\nATOM 4 O \"O2'\" B U A 1 2.0 0 0 0.60 5 B 1\n"
    rows += "ATOM 5 C C2' A U A 1 4.0 0 0 0.40 5 B 1\nATOM 6 C C2' B U A 1 5.0 0 0 0.60 5 B 1\n"
    text, several = mmcif.one_location(MMCIF + rows)
    kept = [row.split()[1] for row in text.splitlines() if row.startswith("ATOM")]
    assert (kept, several) == (["1", "2", "4", "6"], ["U B 5"])


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.PDB.gz", ".pdb"), ("b.ent", ".ent"), ("c.mmcif", ".mmcif"), ("d.xyz", None), ("e", None)]
)
def test_formats_with_locations_are_known_by_their_suffix(name, suffix):
    assert located_format(Path(name)) == suffix
