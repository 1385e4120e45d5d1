"""Torsions and distances of peptides that were built with known angles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.peptide_structures import heavy_trajectory, mdtraj

from mlff.analysis.features import Features, Torsions, exchangeable, sizes
from mlff.proteins import CloudLayout
from mlff.sampling.peptides import capped_peptide


def of(trajectory: Any) -> tuple[Features, CloudLayout]:
    layout = CloudLayout.of(trajectory.topology)
    return Features.of(trajectory, layout), layout


def test_torsions_are_those_that_were_built(peptide_packages: None) -> None:
    angles = [(-70.0, 150.0), (55.0, -30.0)]
    peptide = capped_peptide("AK", angles)
    whole = mdtraj.Trajectory(peptide.positions[None] / 10, mdtraj.Topology.from_openmm(peptide.topology))
    heavy = whole.atom_slice([atom.index for atom in whole.topology.atoms if atom.element.symbol != "H"])
    torsions = Torsions.of(heavy, CloudLayout.of(heavy.topology))
    values = dict(zip(torsions.names, np.degrees(torsions.values(heavy)[0]), strict=True))
    for number, (phi, psi) in enumerate(angles, start=2):
        residue = ("ALA", "LYS")[number - 2]
        assert values[f"phi {residue} {number}"] == pytest.approx(phi, abs=0.1)
        assert values[f"psi {residue} {number}"] == pytest.approx(psi, abs=0.1)
    assert sum(name.startswith("chi") for name in torsions.names) == 4  # lysine
    assert len(torsions.pairs) == 2
    assert not torsions.folded.any()


@pytest.mark.parametrize(("sequence", "pairs"), [("F", [("CD1", "CD2"), ("CE1", "CE2")]), ("D", [("OD1", "OD2")])])
def test_traded_names_change_no_feature(peptide_packages: None, sequence: str, pairs: list[tuple[str, str]]) -> None:
    """A ring flip exchanges the atoms of a pair; neither chi2 nor what TICA sees may notice."""
    trajectory = heavy_trajectory(sequence)
    features, layout = of(trajectory)
    flipped = trajectory[:]
    atoms = {atom.name: atom.index for atom in trajectory.topology.residue(1).atoms}
    for first, second in pairs:
        flipped.xyz[:, [atoms[first], atoms[second]]] = trajectory.xyz[:, [atoms[second], atoms[first]]]
    before, after = (features.torsions.values(part) for part in (trajectory, flipped))
    # planar only as far as the building goes
    np.testing.assert_allclose(np.sin(2 * (before - after)), 0, atol=0.03)
    assert features.torsions.folded.sum() == 1
    np.testing.assert_allclose(features.values(flipped, after), features.values(trajectory, before), atol=0.05)
    exchanged = {a.name for a in trajectory.topology.atoms if exchangeable(layout)[a.index]}
    assert exchanged == {name for pair in pairs for name in pair}


def test_angles_lie_in_their_bins(dipeptide: Any) -> None:
    rng = np.random.default_rng(0)
    shaken = mdtraj.Trajectory(rng.normal(size=(500, dipeptide.n_atoms, 3)), dipeptide.topology)
    features, _ = of(dipeptide)
    values = features.torsions.values(shaken)
    for d in range(values.shape[1]):
        low, high = features.torsions.range(d)
        assert values[:, d].min() >= low
        assert values[:, d].max() < high


def test_sizes_of_a_known_arrangement(dipeptide: Any) -> None:
    layout = CloudLayout.of(dipeptide.topology)
    xyz = np.zeros((1, dipeptide.n_atoms, 3))
    ends = [a.index for a in dipeptide.topology.atoms if (a.residue.name, a.name) in (("ACE", "CH3"), ("NME", "C"))]
    xyz[0, ends] = [[0.5, 0, 0], [-0.5, 0, 0]]
    gyration, distance = sizes(mdtraj.Trajectory(xyz, dipeptide.topology), layout)[0]
    assert distance == pytest.approx(10.0)  # Å
    assert gyration == pytest.approx(np.sqrt(2 * 25.0 / dipeptide.n_atoms))


def test_proteins_are_seen_by_their_alpha_carbons(peptide_packages: None) -> None:
    protein = heavy_trajectory("G" * 8)
    features, _ = of(protein)
    assert {protein.topology.atom(i).name for i in features.pairs.ravel()} == {"CA"}
    assert not features.with_torsions
    small, _ = of(heavy_trajectory("A"))
    assert small.with_torsions
    assert len(small.pairs) == 45 - 9 - 11  # all pairs without bonds and angles
