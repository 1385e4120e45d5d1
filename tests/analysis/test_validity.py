"""Frames that are wrong in one known way, and the geometry they are measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.peptide_structures import heavy_trajectory
from support.protein_structures import AMINO_ACIDS, topology_of

from mlff.proteins import CloudLayout, StructureError
from mlff.proteins.geometry import GeometryReference, GeometryTerms
from mlff.proteins.residues import channel_names, residue_token
from mlff.proteins.validity import GeometryCheck, ValidityLimits


def structure(sequence: str) -> tuple[CloudLayout, np.ndarray]:
    """Layout and heavy atoms [1,M,3] in Å of a capped peptide as built."""
    trajectory = heavy_trajectory(sequence)
    return CloudLayout.of(trajectory.topology), trajectory.xyz.astype(np.float64) * 10


def index(layout: CloudLayout, residue: str, name: str) -> int:
    return next(a.index for a in layout.topology.atoms if (a.residue.name, a.name) == (residue, name))


@pytest.fixture(scope="module")
def isoleucine(peptide_packages: None) -> tuple[CloudLayout, np.ndarray, GeometryCheck]:
    """ACE-ILE-PHE-NME: two stereocentres in one residue, a planar ring in the other."""
    layout, atoms = structure("IF")
    return layout, atoms, GeometryCheck(layout, GeometryReference.of([(layout, atoms)]))


def test_a_frame_of_the_reference_is_valid(isoleucine: tuple[CloudLayout, np.ndarray, GeometryCheck]) -> None:
    layout, atoms, check = isoleucine
    found = check(atoms)
    assert found.valid.tolist() == [True]
    assert found.bond_error[0] < 1e-9
    assert found.angle_error[0] < 1e-5
    assert (found.inverted[0], found.cis[0]) == (0, 0)
    # what chemistry says about ACE-ILE-PHE-NME
    assert len(check.terms.bonds) == layout.topology.n_atoms
    assert sorted(GeometryReference.of([(layout, atoms)]).centres) == ["ILE:CA", "ILE:CB", "PHE:CA"]
    assert len(check.terms.omegas) == 3


@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_moving_the_molecule_changes_nothing(
    isoleucine: tuple[CloudLayout, np.ndarray, GeometryCheck], seed: int
) -> None:
    _, atoms, check = isoleucine
    rng = np.random.default_rng(seed)
    shaken = atoms + rng.normal(scale=0.1, size=atoms.shape)
    moved = shaken @ Rotation.random(random_state=seed).as_matrix().T + rng.normal(scale=50, size=3)
    for name, value in vars(check(shaken)).items():
        np.testing.assert_allclose(vars(check(moved))[name], value, atol=1e-9, err_msg=name)


def test_each_fault_is_seen_in_its_frame_only(isoleucine: tuple[CloudLayout, np.ndarray, GeometryCheck]) -> None:
    layout, atoms, check = isoleucine
    frames = np.repeat(atoms, 5, axis=0)
    ca, cb, end = index(layout, "PHE", "CA"), index(layout, "PHE", "CB"), index(layout, "NME", "C")
    nitrogen = index(layout, "NME", "N")
    # 1: a bond 0.15 Å too long
    bond = frames[1, end] - frames[1, nitrogen]
    frames[1, end] += 0.15 * bond / np.linalg.norm(bond)
    # 2: the methyl group of NME on top of that of ACE
    frames[2, end] = frames[2, index(layout, "ACE", "CH3")] + 0.5
    # 3: not a number
    frames[3, cb] = np.nan
    # 4: a D residue: the side chain mirrored at the plane of N, CA and C
    n, c = frames[4, index(layout, "PHE", "N")], frames[4, index(layout, "PHE", "C")]
    normal = np.cross(n - frames[4, ca], c - frames[4, ca])
    normal /= np.linalg.norm(normal)
    side = [a.index for a in layout.topology.atoms if a.residue.name == "PHE" and a.name not in ("N", "CA", "C", "O")]
    frames[4, side] -= 2 * ((frames[4, side] - frames[4, ca]) @ normal)[:, None] * normal
    found = check(frames)
    assert found.valid.tolist() == [True, False, False, False, False]
    assert found.bond_error[1] == pytest.approx(0.15, abs=1e-6)
    assert found.bond_outliers[:2].tolist() == [0, 1]
    assert found.inverted.tolist()[:3] == [0, 0, 0]
    assert found.overlap[2] > 2.0
    assert found.overlaps[1] == 0
    assert found.inverted[4] == 1
    assert found.bond_outliers[4] == 0


def test_a_mirror_image_inverts_every_centre_and_no_length(
    isoleucine: tuple[CloudLayout, np.ndarray, GeometryCheck],
) -> None:
    _, atoms, check = isoleucine
    found = check(atoms * [1, 1, -1])
    assert found.inverted[0] == 3
    assert found.bond_error[0] < 1e-9
    assert not found.valid[0]


def test_a_turned_peptide_bond_is_cis(isoleucine: tuple[CloudLayout, np.ndarray, GeometryCheck]) -> None:
    layout, atoms, check = isoleucine
    c, n = index(layout, "PHE", "C"), index(layout, "NME", "N")
    axis = atoms[0, n] - atoms[0, c]
    turn = Rotation.from_rotvec(np.pi * axis / np.linalg.norm(axis)).as_matrix()
    turned, end = atoms.copy(), index(layout, "NME", "C")
    turned[0, end] = atoms[0, n] + turn @ (atoms[0, end] - atoms[0, n])
    assert check(turned).cis.tolist() == [1]


def test_limits_are_limits(isoleucine: tuple[CloudLayout, np.ndarray, GeometryCheck]) -> None:
    layout, atoms, _ = isoleucine
    reference = GeometryReference.of([(layout, atoms)])
    shaken = atoms + np.random.default_rng(0).normal(scale=0.05, size=atoms.shape)
    strict = GeometryCheck(layout, reference, ValidityLimits(bond=0.01))(shaken)
    loose = GeometryCheck(layout, reference, ValidityLimits(bond=1.0, angle=60.0, overlap=2.0))(shaken)
    assert strict.bond_outliers[0] > 5
    assert loose.valid[0]


def test_means_survive_json_and_serve_other_sequences(peptide_packages: None) -> None:
    """AG and GG hold every residue of GA, but not its link from G to A: that is taken from other links."""
    reference = GeometryReference.of([structure("AG"), structure("GG")])
    again = GeometryReference.model_validate_json(reference.model_dump_json())
    assert again == reference
    layout, atoms = structure("GA")
    assert "link ALA:C-GLY:N" in reference.bonds
    assert "link ALA:N-GLY:C" not in reference.bonds
    found = GeometryCheck(layout, again)(atoms)
    assert found.valid[0]
    assert found.inverted[0] == 0


def test_means_are_means(peptide_packages: None) -> None:
    layout, atoms = structure("A")
    stretched = np.concatenate([atoms, 1.02 * atoms, 1.04 * atoms])
    reference = GeometryReference.of([(layout, stretched)])
    terms = GeometryTerms.of(layout)
    np.testing.assert_allclose(reference.bond_lengths(terms), 1.02 * terms.bond_lengths(atoms)[0])
    np.testing.assert_allclose(reference.angle_values(terms), terms.angle_values(atoms)[0])


def test_bonds_follow_from_the_residues(peptide_packages: None) -> None:
    """Bonds of a file may be missing or wrong; a chain of all residues has the bonds and rings of chemistry."""
    names = {residue: [n for n in channel_names(residue_token(residue)) if n and n != "OXT"] for residue in AMINO_ACIDS}
    chain = [("ACE", ["CH3", "C", "O"]), *names.items(), ("NME", ["N", "CH3"])]
    topology = topology_of([chain, chain])
    bare = CloudLayout.of(topology)
    rings = sum({"HIS": 1, "PHE": 1, "PRO": 1, "TRP": 2, "TYR": 1}.values())
    terms = GeometryTerms.of(bare)
    assert len(terms.bonds) == topology.n_atoms - 2 + 2 * rings
    topology.add_bond(topology.atom(0), topology.atom(20))
    np.testing.assert_array_equal(GeometryTerms.of(CloudLayout.of(topology)).bonds, terms.bonds)
    sulfurs = [atom for atom in topology.atoms if atom.name == "SG"]
    topology.add_bond(*sulfurs)
    assert "link CYS:SG-CYS:SG" in GeometryTerms.of(CloudLayout.of(topology)).bond_names


def test_what_the_reference_does_not_know_is_an_error(peptide_packages: None) -> None:
    reference = GeometryReference.of([structure("A")])
    layout, atoms = structure("V")
    with pytest.raises(StructureError, match=r"knows no bond .*VAL"):
        GeometryCheck(layout, reference)
    with pytest.raises(StructureError, match="at least one frame"):
        GeometryReference.of([])
    layout, atoms = structure("A")
    with pytest.raises(ValueError, match=r"expected \[F, 10, 3\]"):
        GeometryCheck(layout, reference)(atoms[:, :-1])


def test_large_and_empty_sets_of_frames(dipeptide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = CloudLayout.of(dipeptide.topology)
    atoms = dipeptide.xyz.astype(np.float64) * 10
    check = GeometryCheck(layout, GeometryReference.of([(layout, atoms)]))
    assert len(check(atoms[:0]).valid) == 0
    monkeypatch.setattr("mlff.proteins.validity._CHUNK", 100)  # ten frames at a time
    many = np.repeat(atoms, 25, axis=0)
    many[13, 3] += 1.0
    assert np.flatnonzero(~check(many).valid).tolist() == [13]
