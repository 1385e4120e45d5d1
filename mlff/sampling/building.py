"""Capped peptides from their sequence: ACE-X...-NME with hydrogens, trans, L.

Heavy atoms come from PeptideBuilder (Tien et al., PeerJ 1, e80 (2013)), hydrogens from OpenMM. The caps are the
flanking glycines of G-X...-G with atoms taken away, which keeps every peptide bond trans.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlff.sampling.packages import require_packages
from mlff.sampling.residues import check_sequence

if TYPE_CHECKING:
    from Bio.PDB.Residue import Residue
    from openmm.app import ForceField, Modeller, Topology

Solvent = Literal["none", "gbn2"]

_EXTENDED = (-120.0, 140.0)
# The ring of proline is built for this phi.
_PROLINE_PHI = -65.0
# The carbon that takes the place of the alpha carbon in a cap, by OpenMM's names.
METHYL = {"ACE": "CH3", "NME": "C"}


class Peptide(NamedTuple):
    """A molecule for OpenMM.

    Attributes:
        topology: one chain with bonds and standard atom and residue names.
        positions: [N,3] float64, Å.
    """

    topology: Topology
    positions: NDArray[np.float64]


@cache
def force_field(solvent: Solvent) -> ForceField:
    """AMBER14, for vacuum or with the implicit water model GBn2. Cached, as its files are long.

    Raises:
        InputError: OpenMM is not installed.
    """
    require_packages("openmm")
    from openmm.app import ForceField

    files = ["amber14-all.xml"] if solvent == "none" else ["amber14-all.xml", "implicit/gbn2.xml"]
    return ForceField(*files)


def capped_peptide(sequence: str, dihedrals: Sequence[tuple[float, float]] | None = None) -> Peptide:
    """ACE-X...-NME as at pH 7 (`residues`), not minimised. The same arguments give the same positions.

    Args:
        sequence: one-letter codes, any length.
        dihedrals: (phi, psi) in degrees of each residue; None: extended. The phi of proline stays that of its ring.

    Raises:
        InputError: unknown residue, or OpenMM, PeptideBuilder or biopython is not installed.
        ValueError: not one pair of dihedrals for each residue.
    """
    check_sequence(sequence)
    require_packages("openmm", "PeptideBuilder", "Bio")
    angles = [_EXTENDED] * len(sequence) if dihedrals is None else list(dihedrals)
    if len(angles) != len(sequence):
        raise ValueError(f"{len(angles)} pairs of dihedrals for the {len(sequence)} residues of {sequence!r}")
    return _with_hydrogens(_heavy_atoms(_chain(sequence, angles)))


def _chain(sequence: str, angles: Sequence[tuple[float, float]]) -> list[Residue]:
    """Heavy atoms of ACE-X...-NME."""
    import PeptideBuilder
    from PeptideBuilder import Geometry

    structure = PeptideBuilder.initialize_res(Geometry.geometry("G"))
    psi = _EXTENDED[1]
    for letter, (phi, next_psi) in zip(sequence + "G", [*angles, _EXTENDED], strict=True):
        geometry = Geometry.geometry(letter)
        geometry.phi = _PROLINE_PHI if letter == "P" else phi
        geometry.psi_im1 = psi
        if letter == "L":  # PeptideBuilder 1.1 lost this sign, which gives the methyl groups each other's names
            geometry.CA_CB_CG_CD2_diangle = -abs(geometry.CA_CB_CG_CD2_diangle)
        PeptideBuilder.add_residue(structure, geometry)
        psi = next_psi
    residues = list(structure.get_residues())
    for residue, cap, superfluous in ((residues[0], "ACE", "N"), (residues[-1], "NME", "CO")):
        for name in superfluous:
            residue.detach_child(name)
        residue.resname = cap
    return residues


def _heavy_atoms(residues: Sequence[Residue]) -> Peptide:
    from openmm.app import Element, Topology

    topology = Topology()
    chain = topology.addChain()
    positions = []
    for residue in residues:
        added = topology.addResidue(residue.resname, chain)
        for atom in residue:
            name = METHYL[residue.resname] if residue.resname in METHYL and atom.name == "CA" else atom.name
            topology.addAtom(name, Element.getBySymbol(atom.name[0]), added)
            positions.append(atom.coord)
    topology.createStandardBonds()
    return Peptide(topology, np.asarray(positions, dtype=np.float64))


def add_hydrogens(modeller: Modeller, variants: list[str | None] | None = None) -> Peptide:
    """The molecule of an OpenMM modeller with the hydrogens it has at pH 7; the same at every call.

    Args:
        variants: of each residue; None: OpenMM's choice.

    Raises:
        ValueError: the force field does not know the molecule.
    """
    from openmm import Platform, unit

    state = random.getstate()
    # OpenMM places hydrogens with Python's global generator.
    random.seed(0)
    try:
        platform = Platform.getPlatformByName("Reference")
        modeller.addHydrogens(force_field("none"), pH=7.0, variants=variants, platform=platform)
    finally:
        random.setstate(state)
    positions = np.array(modeller.positions.value_in_unit(unit.angstrom), dtype=np.float64)
    return Peptide(modeller.topology, positions)


def _with_hydrogens(peptide: Peptide) -> Peptide:
    from openmm import unit
    from openmm.app import Modeller

    modeller = Modeller(peptide.topology, peptide.positions * unit.angstrom)
    # Named explicitly because the default for histidine depends on the surroundings.
    return add_hydrogens(
        modeller, ["HIE" if residue.name == "HIS" else None for residue in modeller.topology.residues()]
    )
