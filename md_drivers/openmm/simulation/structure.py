"""The structure that a simulation begins with, and which of its atoms a model is for."""

from __future__ import annotations

import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from openmm import app, unit

from md_drivers.common.checks import check_file
from md_drivers.common.engine import NM, import_mdtraj
from md_drivers.common.errors import StructureError
from md_drivers.openmm.region import box_vectors, label
from md_drivers.openmm.simulation.bonds import add_missing, made_whole
from md_drivers.openmm.simulation.settings import STRUCTURE
from mlff.structures import read_located, room_fault
from mlff.support.files import sha256_of

_log = logging.getLogger(__name__)

_READERS = {".pdb": app.PDBFile, ".cif": app.PDBxFile, ".mmcif": app.PDBxFile, ".pdbx": app.PDBxFile}
# Bonds longer than this part of the sum of covalent radii are broken; vibrations at 300 K reach 1.2.
_BROKEN = 1.6


@dataclass(frozen=True)
class Structure:
    """A topology with positions.

    Attributes:
        path, sha256: the file.
        topology: with the box if the simulation is periodic, without it otherwise.
        positions: [N, 3] in A.
        box: [3, 3] box vectors in A as rows, or ``None``.
    """

    path: Path
    sha256: str
    topology: app.Topology
    positions: np.ndarray
    box: np.ndarray | None


def read_structure(path: Path, periodic: bool | None) -> Structure:
    """The first model of a PDB or PDBx/mmCIF file, molecules whole, at the locations of highest occupancy.

    Bonds of residues that the file does not list are found by distance; that is logged as a warning.

    Args:
        path: ``.pdb``, ``.cif``, ``.mmcif`` or ``.pdbx``.
        periodic: whether to use the box of the file; ``None``: if there is one.

    Raises:
        FileNotFoundError: there is no such file.
        StructureError: it cannot be read, has no atoms, no box where one is needed, an impossible box, or a residue of
            a protein without hydrogens.
    """
    check_file(path, STRUCTURE)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise StructureError(f"{path}: structures are read from {', '.join(_READERS)} files, not {path.suffix!r}")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*duplicate atom")  # OpenMM would leave the atom out
            file = reader(io.StringIO(read_located(path)))
        topology, positions = file.topology, NM * np.array(file.positions.value_in_unit(unit.nanometer))
    except Exception as error:  # OpenMM's parsers raise whatever the text led to
        raise StructureError(f"{path}: cannot be read as {path.suffix} file: {error}") from error
    if topology.getNumAtoms() == 0:
        raise StructureError(f"{path}: there are no atoms in it")
    if not np.isfinite(positions).all():
        raise StructureError(f"{path}: some positions are not finite")
    vectors = topology.getPeriodicBoxVectors()
    if periodic and vectors is None:
        raise StructureError(f"{path}: no box (CRYST1 record or cell) for a periodic simulation; add one to the file")
    if periodic is False:
        vectors = None
        topology.setPeriodicBoxVectors(None)
    box = None if vectors is None else box_vectors(vectors)
    numbers = [0 if atom.element is None else atom.element.atomic_number for atom in topology.atoms()]
    if fault := room_fault(Atoms(numbers, positions, cell=box, pbc=box is not None)):
        raise StructureError(f"{path}: {fault}; correct it, or leave it out (--no-periodic, periodic=False)")
    _check_hydrogens(path, topology)
    said = add_missing(topology, positions, box)
    positions, mended = made_whole(topology, positions, box)
    if mended:
        said.append(f"the box cuts {mended} bond(s); their molecules were made whole by nearest images")
    for words in said:
        _log.warning("%s: %s", path, words)
    return Structure(path, sha256_of(path), topology, positions, box)


def select(topology: app.Topology, selection: str) -> list[int]:
    """Indices of the atoms that an MDTraj selection names.

    Raises:
        ImportError: MDTraj is not installed.
        StructureError: the selection cannot be read or matches nothing.
    """
    mdtraj = import_mdtraj(" to select atoms")
    try:
        found = mdtraj.Topology.from_openmm(topology).select(selection)
    except Exception as error:  # of the parser, or of Python where types do not fit
        raise StructureError(
            f"cannot read the selection {selection!r}: not in MDTraj's language, such as 'protein', 'resname ALA' or "
            "'index 0 to 21'"
        ) from error
    if len(found) == 0:
        residues = sorted({residue.name for residue in topology.residues()})
        named = ", ".join(residues[:8]) + (", …" if len(residues) > 8 else "")
        raise StructureError(f"the selection {selection!r} matches no atom; the structure has residues {named}")
    return [int(k) for k in found]


@dataclass(frozen=True)
class Bonds:
    """Bonds of a topology between atoms with elements.

    Attributes:
        pairs: [B, 2] atoms.
        limits: [B] in A; longer ones are broken.
        labels: names of the atoms of a bond.
    """

    pairs: np.ndarray
    limits: np.ndarray
    labels: tuple[str, ...]

    @classmethod
    def of(cls, topology: app.Topology) -> Bonds:
        bonds = [bond for bond in topology.bonds() if bond[0].element is not None and bond[1].element is not None]
        pairs = np.array([(bond[0].index, bond[1].index) for bond in bonds], dtype=np.int64).reshape(-1, 2)
        numbers = np.array([[atom.element.atomic_number for atom in bond[:2]] for bond in bonds], dtype=np.int64)
        limits = _BROKEN * covalent_radii[numbers.reshape(-1, 2)].sum(axis=1)
        return cls(pairs, limits, tuple(f"{label(bond[0])} and {label(bond[1])}" for bond in bonds))

    def broken(self, positions: np.ndarray, box: np.ndarray | None) -> list[tuple[str, float]]:
        """Label and length (A) of bonds that are broken at positions [N, 3] in A; nearest images count in a box."""
        vectors = positions[self.pairs[:, 0]] - positions[self.pairs[:, 1]]
        if box is not None:
            vectors = vectors - np.rint(vectors @ np.linalg.inv(box)) @ box
        lengths = np.linalg.norm(vectors, axis=1)
        return [(self.labels[k], float(lengths[k])) for k in np.flatnonzero(lengths > self.limits)]


def _check_hydrogens(path: Path, topology: app.Topology) -> None:
    for residue in topology.residues():
        atoms = {atom.name: atom.element for atom in residue.atoms()}
        if {"N", "CA", "C"} <= set(atoms) and app.element.hydrogen not in atoms.values():
            raise StructureError(
                f"{path}: residue {residue.name} {residue.id} has no hydrogens; add them first (OpenMM's "
                "Modeller.addHydrogens, or pdbfixer)"
            )
