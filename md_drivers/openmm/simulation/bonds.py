"""Bonds that a structure file does not list, and molecules that bonds make whole."""

from __future__ import annotations

from collections.abc import Sequence

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
# Of atoms that have as many bonds, none is missing: waters of a box that was only just filled may come that close.
_MOST_BONDS = {1: 1, 6: 4, 7: 4, 8: 2, 9: 1, 17: 1, 35: 1, 53: 1}
_NAMED = 5  # residues or atoms in a message


def add_missing(topology: app.Topology, positions: np.ndarray, box: np.ndarray | None) -> list[str]:
    """Add the bonds that the topology lacks between its molecules and within residues in pieces, by distance.

    PDB files have no bonds of ligands and other residues without a template, unless CONECT records list them. Metals
    have no bonds.

    Args:
        topology: of N atoms; bonds are added.
        positions: [N, 3] in A.
        box: [3, 3] in A as rows, whose nearest images count; or ``None``.

    Returns:
        words on bonds that were found, and on atoms in pieces without any.
    """
    everything = [atom for atom in topology.atoms() if atom.element is not None]
    place = {atom.index: k for k, atom in enumerate(everything)}
    listed = [(place[b[0].index], place[b[1].index]) for b in topology.bonds() if {b[0].index, b[1].index} <= {*place}]
    numbers = np.array([atom.element.atomic_number for atom in everything], dtype=np.int64)
    residues = np.array([atom.residue.index for atom in everything], dtype=np.int64)
    pieces = _connected(len(everything), listed)
    loose = _in_pieces(residues, [(i, j) for i, j in listed if residues[i] == residues[j]])
    atoms = Atoms(numbers, positions[list(place)], cell=box, pbc=box is not None)
    first, second = neighbor_list("ij", atoms, _BONDED * covalent_radii[numbers])
    metal = np.isin(numbers, METALS)
    apart = (pieces[first] != pieces[second]) | loose[first] | loose[second]
    most = np.array([_MOST_BONDS.get(number, len(numbers)) for number in numbers.tolist()])
    full = np.bincount(np.array(listed, dtype=np.int64).reshape(-1), minlength=len(numbers)) >= most
    wanted = (first < second) & apart & ~(metal | full)[first] & ~(metal | full)[second]
    near = {(int(i), int(j)) for i, j in zip(first[wanted], second[wanted], strict=True)}
    found = sorted(near - {(min(pair), max(pair)) for pair in listed})
    for i, j in found:
        topology.addBond(everything[i], everything[j])
    said = []
    if found:
        told = [k for pair in found for k in pair if loose[k] or not loose[list(pair)].any()]
        where = first_few(
            list(dict.fromkeys(f"{everything[k].residue.name} {everything[k].residue.id}" for k in told)), _NAMED
        )
        said.append(
            f"the file does not list all bonds of {where}: {len(found)} were found by distance; list bonds in the file "
            "(CONECT) if these are wrong"
        )
    alone = loose & ~metal & ~np.isin(np.arange(len(everything)), [k for pair in (*listed, *found) for k in pair])
    if alone.any():
        names = first_few([label(everything[k]) for k in np.flatnonzero(alone)], _NAMED)
        said.append(f"no bonds in the file and none by distance: {names}; is the molecule torn?")
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


def _connected(size: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """[size], number of the piece that each atom belongs to."""
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(rows)), (rows[:, 0], rows[:, 1])), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1])


def _in_pieces(residues: np.ndarray, inner: Sequence[tuple[int, int]]) -> np.ndarray:
    """[N] bool: atoms of residues that the bonds within them do not hold together."""
    pieces = _connected(len(residues), inner)
    count = np.bincount(residues[np.unique(pieces, return_index=True)[1]], minlength=residues.max(initial=0) + 1)
    return np.asarray(count[residues] > 1)
