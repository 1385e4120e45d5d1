"""Topologies of MDTraj with any sequence and any order of atoms, and coordinates that only keep chains together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")

AMINO_ACIDS = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE",
    "LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL",
)  # fmt: skip


def topology_of(chains: Sequence[Sequence[tuple[str, Sequence[str]]]]) -> mdtraj.Topology:
    """Chains of (residue, atom names in order)."""
    topology = mdtraj.Topology()
    for residues in chains:
        chain = topology.add_chain()
        for number, (name, atoms) in enumerate(residues, start=1):
            residue = topology.add_residue(name, chain, resSeq=number)
            for atom in atoms:
                topology.add_atom(atom, mdtraj.core.element.get_by_symbol(atom[0]), residue)
    return topology


def coordinates_of(topology: mdtraj.Topology, frames: int, rng: np.random.Generator) -> np.ndarray:
    """[frames, atoms, 3] in Å, at random but with N next to the C before it."""
    xyz = rng.normal(size=(frames, topology.n_atoms, 3)) * 4.0
    carbon = None
    for residue in topology.residues:
        atoms = {atom.name: atom.index for atom in residue.atoms}
        if carbon is not None and "N" in atoms:
            direction = rng.normal(size=(frames, 3))
            xyz[:, atoms["N"]] = xyz[:, carbon] + 1.33 * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        carbon = atoms["C"] if residue.name != "NME" and "C" in atoms else None
    return xyz
