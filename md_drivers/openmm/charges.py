"""The total charge of the atoms of a model, where a topology or a classical force field tells it. Imports no OpenMM."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openmm import System
    from openmm.app import Topology

_CLOSE = 0.02  # e; force fields round charges of atoms

# Hydrogens of neutral residues inside of a chain, of caps, water and ions; the names of a residue with fewer or more.
_TABLE = (
    "ALA5 ARG12 ASN6 ASP5 CYS5 GLN8 GLU7 GLY3 HIS7 ILE11 LEU11 LYS12 MET9 PHE9 PRO7 SER5 THR7 TRP10 TYR9 VAL9 "
    "ACE3 NME4 NMA4 HOH2 WAT2"
)
_HYDROGENS = {entry[:3]: int(entry[3:]) for entry in _TABLE.split()}
_VARIANTS = {"HID": "HIS", "HIE": "HIS", "HIP": "HIS", "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "CYX": "CYS"}
_VARIANTS |= {"CYM": "CYS", "ASH": "ASP", "GLH": "GLU", "LYN": "LYS"}
_CAPS = ("ACE", "NME", "NMA", "HOH", "WAT")
_IONS = {"Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "F": -1, "Cl": -1, "Br": -1, "I": -1, "Mg": 2, "Ca": 2, "Zn": 2}


def net_charge(topology: Topology, atoms: Iterable[int] | None = None) -> float | None:
    """Total charge (e) of whole residues: their formal charges, else from their hydrogens where they are known.

    Args:
        topology: with bonds, which tell where chains end and which cysteines are joined.
        atoms: indices; None for all.

    Returns:
        None where a residue is not known, or not whole.
    """
    chosen, bonds = None if atoms is None else set(atoms), defaultdict[int, list[Any]](list)
    for bond in topology.bonds():
        bonds[bond[0].index].append(bond[1])
        bonds[bond[1].index].append(bond[0])
    total = 0.0
    for residue in topology.residues():
        members = list(residue.atoms())
        inside = len(members) if chosen is None else sum(atom.index in chosen for atom in members)
        if not inside:
            continue
        charge = _of_residue(residue.name.upper(), members, bonds) if inside == len(members) else None
        if charge is None:
            return None
        total += charge
    return total


def classical_charge(system: System, atoms: Iterable[int]) -> float | None:
    """Total charge (e) of atoms in a classical force field; None where it has no charges or no whole number."""
    import openmm

    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            total = sum(force.getParticleParameters(k)[0]._value for k in atoms)
            return float(round(total)) if abs(total - round(total)) < _CLOSE else None
    return None


def _of_residue(name: str, atoms: list[Any], bonds: dict[int, list[Any]]) -> float | None:
    stated = [charge for atom in atoms if (charge := getattr(atom, "formalCharge", None)) is not None]
    if stated:
        return float(sum(stated))
    elements = Counter(None if atom.element is None else atom.element.symbol for atom in atoms)
    if len(atoms) == 1:
        return _IONS.get(atoms[0].element.symbol) if atoms[0].element is not None else None
    name = _VARIANTS.get(name, name)
    if name not in _HYDROGENS:
        return None
    neutral, by_name = _HYDROGENS[name], {atom.name: atom for atom in atoms}
    if name not in _CAPS:
        if not {"N", "C"} <= by_name.keys():
            return None
        residue = atoms[0].residue.index
        outside = {key: any(b.residue.index != residue for b in bonds[a.index]) for key, a in by_name.items()}
        # A free end has one hydrogen more: -NH2, and -COOH, whose second oxygen tells it from a chain that breaks off.
        neutral += (not outside["N"]) + ("OXT" in by_name) - outside.get("SG", False)
        if not (outside["C"] or "OXT" in by_name):
            return None
    return float(elements["H"] - neutral)
