"""Peptides against the chemistry of the amino acids: formulas, charges, rings, handedness."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from ase.formula import Formula
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.sampling.peptides import Backbone, PeptideError, capped_name, capped_peptide, dihedral, minimise, total_charge

pytestmark = pytest.mark.usefixtures("packages")

# Free amino acid as a neutral molecule, charge of the residue at pH 7, rings.
AMINO_ACIDS = {
    "A": ("C3H7NO2", 0, 0),
    "R": ("C6H14N4O2", 1, 0),
    "N": ("C4H8N2O3", 0, 0),
    "D": ("C4H7NO4", -1, 0),
    "C": ("C3H7NO2S", 0, 0),
    "Q": ("C5H10N2O3", 0, 0),
    "E": ("C5H9NO4", -1, 0),
    "G": ("C2H5NO2", 0, 0),
    "H": ("C6H9N3O2", 0, 1),
    "I": ("C6H13NO2", 0, 0),
    "L": ("C6H13NO2", 0, 0),
    "K": ("C6H14N2O2", 1, 0),
    "M": ("C5H11NO2S", 0, 0),
    "F": ("C9H11NO2", 0, 1),
    "P": ("C5H9NO2", 0, 1),
    "S": ("C3H7NO3", 0, 0),
    "T": ("C4H9NO3", 0, 0),
    "W": ("C11H12N2O2", 0, 2),
    "Y": ("C9H11NO3", 0, 1),
    "V": ("C5H11NO2", 0, 0),
}


def expected_formula(sequence: str) -> Counter[str]:
    """Acetic acid, the amino acids and methylamine, less one water for each bond between them, with charged protons."""
    parts = ["C2H4O2", *(AMINO_ACIDS[letter][0] for letter in sequence), "CH5N"]
    formula = Counter[str]()
    for part in parts:
        formula.update(Formula(part).count())
    bonds = len(sequence) + 1
    formula.subtract({"H": 2 * bonds - sum(AMINO_ACIDS[letter][1] for letter in sequence), "O": bonds})
    return +formula


def force_field_charge(topology: Any) -> float:
    from openmm import NonbondedForce
    from openmm.app import ForceField

    system = ForceField("amber14-all.xml").createSystem(topology)
    (force,) = [force for force in system.getForces() if isinstance(force, NonbondedForce)]
    return sum(force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles()))


@pytest.mark.parametrize("sequence", [*AMINO_ACIDS, "AP", "WK", "DRGH"])
def test_formula_charge_bonds_and_handedness(sequence: str) -> None:
    topology, positions = capped_peptide(sequence)
    symbols = [atom.element.symbol for atom in topology.atoms()]
    assert Counter(symbols) == expected_formula(sequence)
    charge = sum(AMINO_ACIDS[letter][1] for letter in sequence)
    assert total_charge(sequence) == charge
    assert force_field_charge(topology) == pytest.approx(charge, abs=1e-3)
    electrons = sum(atom.element.atomic_number for atom in topology.atoms()) - charge
    assert electrons % 2 == 0
    # A connected graph with r independent rings has N - 1 + r edges.
    rings = sum(AMINO_ACIDS[letter][2] for letter in sequence)
    assert topology.getNumBonds() == len(symbols) - 1 + rings
    assert positions.shape == (len(symbols), 3)
    backbone = Backbone.of(capped_peptide(sequence))
    assert backbone.all_l(positions)
    assert not backbone.all_l(-positions) or sequence == "G"
    assert backbone.all_trans(positions)
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)[np.triu_indices(len(positions), 1)]
    assert distances.min() > 0.8


def signed_volume(peptide: Any, centre: str, names: list[str]) -> float:
    """Negative where the three, seen from the side of the fourth substituent's opposite, follow clockwise (R)."""
    atoms = {atom.name: atom.index for residue in list(peptide.topology.residues())[1:2] for atom in residue.atoms()}
    a, b, c = (peptide.positions[atoms[name]] - peptide.positions[atoms[centre]] for name in names)
    return float(a @ np.cross(b, c))


@pytest.mark.parametrize(
    ("sequence", "priorities", "configuration"), [("T", ["OG1", "CA", "CG2"], "R"), ("I", ["CA", "CG1", "CG2"], "S")]
)
def test_side_chains_of_threonine_and_isoleucine(sequence: str, priorities: list[str], configuration: str) -> None:
    # (2S,3R)-threonine and (2S,3S)-isoleucine; substituents in the order of their Cahn-Ingold-Prelog priority.
    peptide = capped_peptide(sequence)
    assert (signed_volume(peptide, "CB", priorities) < 0) == (configuration == "R")
    assert signed_volume(peptide, "CA", ["N", "C", "CB"]) > 0  # S


def test_histidine_carries_its_hydrogen_on_n_epsilon() -> None:
    names = {atom.name for atom in capped_peptide("H").topology.atoms()}
    assert "HE2" in names
    assert "HD1" not in names


@settings(max_examples=8)
@given(st.lists(st.tuples(st.sampled_from("AGSV"), *[st.floats(-179, 179)] * 2), min_size=1, max_size=3))
def test_dihedrals_are_those_asked_for(residues: list[tuple[str, float, float]]) -> None:
    asked = [(phi, psi) for _, phi, psi in residues]
    peptide = capped_peptide("".join(letter for letter, _, _ in residues), asked)
    backbone = Backbone.of(peptide)
    found = zip(dihedral(peptide.positions, backbone.phi), dihedral(peptide.positions, backbone.psi), strict=True)
    difference = np.array(list(found)) - np.array(asked)
    assert np.abs((difference + 180) % 360 - 180).max() < 0.01
    assert backbone.all_trans(peptide.positions)


def test_dihedral_has_the_sign_of_iupac() -> None:
    # Looking along the middle bond, the far bond is turned clockwise by 60 degrees.
    angle = np.radians(60.0)
    far = [np.sin(-angle), np.cos(angle), 1.0]  # the viewer at z < 0 sees x grow to the left
    points = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], far])
    assert dihedral(points, np.array([[0, 1, 2, 3]])) == pytest.approx([60.0])


def test_building_repeats_itself_and_leaves_the_random_numbers_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    first = capped_peptide("S").positions
    assert random.random() == expected
    assert np.array_equal(first, capped_peptide("S").positions)


def test_minimisation_keeps_handedness_and_peptide_bonds() -> None:
    relaxed = minimise(capped_peptide("VS", [(60.0, 40.0), (-60.0, -45.0)]), "none")
    backbone = Backbone.of(relaxed)
    assert backbone.all_l(relaxed.positions)
    assert backbone.all_trans(relaxed.positions)


def test_names() -> None:
    assert capped_name("AK") == "ACE-ALA-LYS-NME"


@pytest.mark.parametrize("sequence", ["AX", "a", "", "A-G"])
def test_unknown_residues_are_named(sequence: str) -> None:
    with pytest.raises(PeptideError, match="needs at least one" if not sequence else "no standard residue has"):
        capped_peptide(sequence)


def test_wrong_number_of_dihedrals() -> None:
    with pytest.raises(ValueError, match="1 pairs of dihedrals for the 2 residues"):
        capped_peptide("AG", [(-60.0, -45.0)])
