"""Bonds that a structure file does not list, and molecules that bonds make whole."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from openmm import app
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from md_drivers.common.checks import first_few
from md_drivers.openmm.region import METALS, label

# Atoms closer than that are bonded where the file does not tell: bonds have up to 1.11 (O-O), hydrogen bonds from 1.6.
_BONDED = 1.2
_NAMED = 5  # residues or atoms in a message


def add_missing(topology: app.Topology, positions: np.ndarray, box: np.ndarray | None) -> list[str]:
    """Add the bonds of residues that the bonds of the topology do not hold together, by distance; words on them.

    PDB files have no bonds of ligands and other residues without a template, unless CONECT records list them. Metals
    have no bonds.

    Args:
        topology: of N atoms; bonds are added.
        positions: [N, 3] in A.
        box: [3, 3] in A as rows, whose nearest images count; or ``None``.
    """
    everything = [atom for atom in topology.atoms() if atom.element is not None]
    index = np.array([atom.index for atom in everything], dtype=np.int64)
    numbers = np.array([atom.element.atomic_number for atom in everything], dtype=np.int64)
    residues = np.array([atom.residue.index for atom in everything], dtype=np.int64)
    listed = {tuple(sorted((bond[0].index, bond[1].index))) for bond in topology.bonds()}
    bonded = np.isin(index, [atom for pair in listed for atom in pair])
    loose = _in_pieces(index, residues, numbers, listed)
    if not loose.any():
        return []
    atoms = Atoms(numbers, positions[index], cell=box, pbc=box is not None)
    first, second = neighbor_list("ij", atoms, _BONDED * covalent_radii[numbers])
    metal = np.isin(numbers, METALS)
    wanted = (first < second) & (loose[first] | loose[second]) & ~metal[first] & ~metal[second]
    pairs = sorted({(int(i), int(j)) for i, j in zip(first[wanted], second[wanted], strict=True)})
    found = [pair for pair in pairs if (index[pair[0]], index[pair[1]]) not in listed]
    for i, j in found:
        topology.addBond(everything[i], everything[j])
        bonded[[i, j]] = True
    said, hint = [], "list bonds in the file (CONECT) if these are wrong"
    if found:
        names = dict.fromkeys(everything[k].residue for pair in found for k in pair if loose[k])
        where = first_few([f"{residue.name} {residue.id}" for residue in names], _NAMED)
        said.append(f"the file does not list all bonds of {where}: {len(found)} were found by distance; {hint}")
    alone = [label(everything[k]) for k in np.flatnonzero(loose & ~bonded & ~metal)]
    if alone:
        said.append(f"no bonds in the file and none by distance: {first_few(alone, _NAMED)}; is the molecule torn?")
    return said


def made_whole(topology: app.Topology, positions: np.ndarray, box: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Positions [N, 3] in A with molecules whole that a box cuts, and how many bonds it cut.

    Networks that the box repeats without end stay as they are.
    """
    pairs = np.array([(bond[0].index, bond[1].index) for bond in topology.bonds()], dtype=np.int64).reshape(-1, 2)
    if box is None or not len(pairs):
        return positions, 0
    images = np.rint((positions[pairs[:, 1]] - positions[pairs[:, 0]]) @ np.linalg.inv(box)).astype(np.int64)
    cut = images.any(axis=1)
    if not cut.any():
        return positions, 0
    size = len(positions)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size)).tocsr()
    _, molecules = connected_components(graph, directed=False)
    shifts = np.zeros((size, 3), dtype=np.int64)
    steps = {(int(i), int(j)): image for (i, j), image in zip(pairs, images, strict=True)}
    steps |= {(j, i): -image for (i, j), image in steps.items()}
    for molecule in np.unique(molecules[pairs[cut, 0]]):
        order, before = breadth_first_order(graph, int(np.argmax(molecules == molecule)), directed=False)
        for atom in order[1:].tolist():
            shifts[atom] = shifts[before[atom]] - steps[int(before[atom]), atom]
    endless = (shifts[pairs[:, 1]] - shifts[pairs[:, 0]] + images).any(axis=1)
    shifts[np.isin(molecules, molecules[pairs[endless, 0]])] = 0
    mended = cut & ~np.isin(molecules[pairs[:, 0]], molecules[pairs[endless, 0]])
    return positions + shifts @ box, int(mended.sum())


def _in_pieces(
    index: np.ndarray, residues: np.ndarray, numbers: np.ndarray, listed: set[tuple[int, ...]]
) -> np.ndarray:
    """[N] bool: atoms of residues of several atoms that listed bonds within them do not connect."""
    place = {int(atom): k for k, atom in enumerate(index)}
    inner = [(place[i], place[j]) for i, j in listed if i in place and j in place]
    pairs = np.array([(i, j) for i, j in inner if residues[i] == residues[j]], dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(index),) * 2)
    _, pieces = connected_components(graph, directed=False)
    count = np.zeros(residues.max(initial=0) + 1, dtype=np.int64)
    np.add.at(count, residues[np.unique(pieces, return_index=True)[1]], 1)
    return count[residues] > 1
