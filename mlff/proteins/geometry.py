"""Bonds, angles and stereocentres of the heavy atoms of peptides, and their values in simulations.

Terms are named by residue type and atom names, so that the values measured in some peptides serve others:
``ALA:CA-ALA:CB`` is a bond, ``ALA:CA`` a stereocentre, ``link ALA:C-GLY:N`` a bond between residues. Terms between
residues fall back on their names without the residues (``link C-N``) where this pair of residues was never simulated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from mlff.proteins.layout import CloudLayout
from mlff.proteins.residues import ANCHOR, CARBON, NITROGEN, RESIDUE_NAMES, atom_name
from mlff.support.errors import DataError
from mlff.support.settings import Section

if TYPE_CHECKING:
    from mdtraj.core.topology import Chain

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The triple product of the unit vectors to three neighbours is 0.77 at a tetrahedral centre, 0 at a planar one.
_TETRAHEDRAL = 0.5
_BONDS_APART = 4
LINK = "link "  # begins the names of terms between residues
# Å; Bondi (J. Phys. Chem. 68, 441 (1964))
_RADII = {"C": 1.7, "N": 1.55, "O": 1.52, "S": 1.8}


@dataclass(frozen=True, eq=False)
class GeometryTerms:
    """What can be measured in a structure of M heavy atoms; indices count them in the order of the layout.

    Attributes:
        bonds: [B,2], with ``bond_names``.
        angles: [A,3], the vertex in the middle, with ``angle_names``.
        centres: [S,4], atoms with three heavy neighbours, and these in the order of their names, with ``centre_names``.
        omegas: [W,4], the peptide bonds.
        pairs: [P,2], atoms at least four bonds apart.
        separation: [M,M], bonds between atoms; infinity between molecules.
        radii: [P] in Å, sums of the van der Waals radii of the pairs.
    """

    bonds: Integers
    angles: Integers
    centres: Integers
    omegas: Integers
    pairs: Integers
    separation: Floats
    radii: Floats
    bond_names: tuple[str, ...]
    angle_names: tuple[str, ...]
    centre_names: tuple[str, ...]

    @staticmethod
    def of(layout: CloudLayout) -> GeometryTerms:
        """The terms of a topology. Bonds follow from the residues; of those in the file only disulfides count."""
        atoms = list(layout.topology.atoms)
        bonds = _bonds(layout)
        separation = _separation(bonds, len(atoms))
        neighbours = [np.flatnonzero(row == 1).tolist() for row in separation]
        names, residues = atom_labels(layout), [atom.residue.index for atom in atoms]
        angles = [(i, j, k) for j, ends in enumerate(neighbours) for i in ends for k in ends if i < k]
        centres = [
            (j, *sorted(ends, key=lambda end: names[end].split(":")[1]))
            for j, ends in enumerate(neighbours)
            if len(ends) == 3
        ]
        pairs = np.argwhere(np.triu(separation >= _BONDS_APART, 1))
        radius = np.array([_RADII[atom.element.symbol] for atom in atoms])
        return GeometryTerms(
            bonds=bonds,
            angles=_indices(angles, 3),
            centres=_indices(centres, 4),
            omegas=_omegas(layout),
            pairs=pairs,
            separation=separation,
            radii=radius[pairs].sum(-1),
            bond_names=tuple(_term_name(names, residues, bond) for bond in bonds.tolist()),
            angle_names=tuple(_term_name(names, residues, angle) for angle in angles),
            centre_names=tuple(names[centre[0]] for centre in centres),
        )

    def bond_lengths(self, atoms: Floats) -> Floats:
        """[..., B] in Å, of atoms [..., M, 3] in Å."""
        return _distances(atoms, self.bonds)

    def angle_values(self, atoms: Floats) -> Floats:
        """[..., A] in degrees."""
        i, j, k = (atoms[..., self.angles[:, n], :] for n in range(3))
        cosine = (_unit(i - j) * _unit(k - j)).sum(-1)
        return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))

    def handedness(self, atoms: Floats) -> Floats:
        """[..., S], triple products of the unit vectors from the centres to their neighbours."""
        centre = atoms[..., self.centres[:, 0], :]
        a, b, c = (_unit(atoms[..., self.centres[:, n], :] - centre) for n in (1, 2, 3))
        return (np.cross(a, b) * c).sum(-1)

    def overlaps(self, atoms: Floats) -> Floats:
        """[..., P] in Å, by how much the van der Waals spheres of the pairs overlap."""
        return self.radii - _distances(atoms, self.pairs)

    def cis(self, atoms: Floats) -> NDArray[np.bool_]:
        """[..., W], peptide bonds that are nearer to cis than to trans."""
        a, b, c, d = (atoms[..., self.omegas[:, n], :] for n in range(4))
        axis = c - b
        return (np.cross(b - a, axis) * np.cross(axis, d - c)).sum(-1) > 0.0


class GeometryReference(Section):
    """Mean bond lengths and angles of simulations, and the handedness of their stereocentres, by names of terms.

    ``model_dump_json`` and ``model_validate_json`` write and read it.
    """

    bonds: dict[str, float] = Field(description="mean length, Å")
    angles: dict[str, float] = Field(description="mean, degrees")
    centres: dict[str, int] = Field(description="sign of the handedness, +1 or -1")

    @staticmethod
    def of(simulations: Iterable[tuple[CloudLayout, Floats]]) -> GeometryReference:
        """Means over simulations, each given by its layout and heavy atoms [F, M, 3] in Å.

        Raises:
            DataError: no frames at all.
        """
        bonds, angles, centres = _Means(), _Means(), _Means()
        for layout, atoms in simulations:
            terms = GeometryTerms.of(layout)
            atoms = np.asarray(atoms, dtype=np.float64)
            bonds.add(terms.bond_names, terms.bond_lengths(atoms))
            angles.add(terms.angle_names, terms.angle_values(atoms))
            centres.add(terms.centre_names, terms.handedness(atoms))
        if not bonds.values:
            raise DataError("a geometry reference needs at least one frame")
        return GeometryReference(
            bonds=bonds.values,
            angles=angles.values,
            centres={name: 1 if mean > 0 else -1 for name, mean in centres.values.items() if abs(mean) > _TETRAHEDRAL},
        )

    def bond_lengths(self, terms: GeometryTerms) -> Floats:
        """[B] in Å for these terms.

        Raises:
            DataError: a bond that was not in the simulations.
        """
        return _looked_up(self.bonds, terms.bond_names, "bond")

    def angle_values(self, terms: GeometryTerms) -> Floats:
        """[A] in degrees for these terms.

        Raises:
            DataError: an angle that was not in the simulations.
        """
        return _looked_up(self.angles, terms.angle_names, "angle")

    def filled(self, other: GeometryReference, terms: GeometryTerms) -> tuple[GeometryReference, list[str]]:
        """With the values of another for those of these terms that this does not know, and the names of these."""
        bonds = {name: other.bonds[name] for name in terms.bond_names if _find(self.bonds, name) is None}
        angles = {name: other.angles[name] for name in terms.angle_names if _find(self.angles, name) is None}
        centres = other.centres | self.centres
        filled = GeometryReference(bonds=self.bonds | bonds, angles=self.angles | angles, centres=centres)
        return filled, sorted([*bonds, *angles])

    def handedness(self, terms: GeometryTerms) -> Integers:
        """[S], +1 or -1 for these terms, and 0 for a planar or unknown centre."""
        return np.array([self.centres.get(name, 0) for name in terms.centre_names], dtype=np.int64)


class _Means:
    """Means over frames by name, and by the name without residues for terms of two residues."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)

    def add(self, names: tuple[str, ...], values: Floats) -> None:
        for name, total in zip(names, values.reshape(-1, len(names)).sum(0), strict=True):
            for key in {name, _without_residues(name)} - {""}:
                self._sums[key] += float(total)
                self._counts[key] += values[..., 0].size

    @property
    def values(self) -> dict[str, float]:
        return {name: self._sums[name] / count for name, count in sorted(self._counts.items()) if count}


def _looked_up(table: dict[str, float], names: tuple[str, ...], kind: str) -> Floats:
    values = [_find(table, name) for name in names]
    for name, value in zip(names, values, strict=True):
        if value is None:
            raise DataError(
                f"the reference geometry knows no {kind} {name}", hint="no such residue was simulated for it"
            )
    return np.array(values, dtype=np.float64)


def _find(table: dict[str, float], name: str) -> float | None:
    return table.get(name, table.get(_without_residues(name)))


def _without_residues(name: str) -> str:
    """The name of a term between residues without these, nothing for other terms."""
    if not name.startswith(LINK):
        return ""
    return LINK + _either_way([part.split(":")[1] for part in name.removeprefix(LINK).split("-")])


def _either_way(parts: list[str]) -> str:
    return min("-".join(parts), "-".join(reversed(parts)))


def atom_labels(layout: CloudLayout) -> list[str]:
    """Standard names such as ``ALA:CA`` of the heavy atoms, in their order."""
    tokens = layout.residues.tolist()
    return [
        f"{RESIDUE_NAMES[tokens[atom.residue.index]]}:{atom_name(tokens[atom.residue.index], atom.name)}"
        for atom in layout.topology.atoms
    ]


def _term_name(names: list[str], residues: list[int], atoms: Sequence[int]) -> str:
    between = len({residues[atom] for atom in atoms}) > 1
    return (LINK if between else "") + _either_way([names[atom] for atom in atoms])


def _omegas(layout: CloudLayout) -> Integers:
    channels, chains = layout.channels.tolist(), layout.chains.tolist()
    return _indices(
        [
            (here[ANCHOR], here[CARBON], after[NITROGEN], after[ANCHOR])
            for here, after, chain, next_chain in zip(channels, channels[1:], chains, chains[1:], strict=False)
            if chain == next_chain
        ],
        4,
    )


def _bonds(layout: CloudLayout) -> Integers:
    """[B,2]; the records of bonds in PDB files are often incomplete or count atoms that are gone."""
    from mdtraj import Topology

    topology, labels, tokens = Topology(), atom_labels(layout), layout.residues.tolist()
    chains: dict[int, Chain] = {}
    for residue, chain in zip(layout.topology.residues, layout.chains.tolist(), strict=True):
        if chain not in chains:
            chains[chain] = topology.add_chain()
        added = topology.add_residue(RESIDUE_NAMES[tokens[residue.index]], chains[chain])
        for atom in residue.atoms:
            topology.add_atom(labels[atom.index].split(":")[1], atom.element, added)
    topology.create_standard_bonds()
    found = {tuple(sorted((a.index, b.index))) for a, b in topology.bonds}
    found |= {tuple(sorted((a.index, b.index))) for a, b in layout.topology.bonds if a.name == b.name == "SG"}
    return _indices(sorted(found), 2)


def _separation(bonds: Integers, size: int) -> Floats:
    """[M,M], bonds between atoms; infinity between molecules."""
    graph = coo_array((np.ones(len(bonds)), (bonds[:, 0], bonds[:, 1])), shape=(size, size))
    return shortest_path(graph.tocsr(), directed=False, unweighted=True)


def _indices(rows: Iterable[Iterable[int]], width: int) -> Integers:
    return np.array([list(row) for row in rows], dtype=np.int64).reshape(-1, width)


def _distances(atoms: Floats, pairs: Integers) -> Floats:
    return np.linalg.norm(atoms[..., pairs[:, 0], :] - atoms[..., pairs[:, 1], :], axis=-1)


def _unit(vectors: Floats) -> Floats:
    # Coinciding atoms give nan, which every comparison with a limit then catches.
    with np.errstate(invalid="ignore", divide="ignore"):
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
