"""PDB files of structures that are made in tests."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from openmm import app, unit


def write_pdb(path: Path, atoms: Atoms) -> Path:
    """One residue with names of their own for all atoms, without bonds."""
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    for k, symbol in enumerate(atoms.symbols):
        topology.addAtom(f"{symbol}{k}", app.Element.getBySymbol(symbol), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors(atoms.cell.array * unit.angstrom)
    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, atoms.positions * unit.angstrom, file)
    return path
