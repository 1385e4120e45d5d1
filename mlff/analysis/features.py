"""Torsions, distances and sizes of a molecule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlff.proteins.geometry import GeometryTerms
from mlff.proteins.layout import CloudLayout
from mlff.proteins.residues import ANCHOR, OXYGEN, TERMINAL_OXYGEN, swap_table
from mlff.support.errors import DataError
from mlff.support.units import ANGSTROM_PER_NM

if TYPE_CHECKING:
    from mdtraj import Trajectory

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_SMALL = 8  # residues with an alpha carbon; from here on alpha carbons tell the fold
_ALL_HEAVY = 20  # heavy atoms up to which all distances are features
_BACKBONE = ("N", "CA", "C", "O", "CB", "CH3")


@dataclass(frozen=True, eq=False)
class Torsions:
    """Dihedral angles of a molecule.

    Attributes:
        names: such as "phi ALA 2".
        atoms: [D,4].
        folded: [D] bool, angles counted modulo 180° because a half turn exchanges equivalent atoms (chi2 of PHE).
        pairs: (phi, psi) of the residues that have both, as places in ``names``.
    """

    names: tuple[str, ...]
    atoms: Integers
    folded: NDArray[np.bool_]
    pairs: tuple[tuple[int, int], ...]

    @staticmethod
    def of(trajectory: Trajectory, layout: CloudLayout) -> Torsions:
        """phi, psi and chi1 to chi5 of a trajectory of heavy atoms, as MDTraj names them.

        Raises:
            DataError: the molecule has none.
        """
        import mdtraj

        frame, exchanged = trajectory[0], exchangeable(layout)
        atoms_of = list(layout.topology.atoms)
        kinds = {
            "phi": (mdtraj.compute_phi, 2),
            "psi": (mdtraj.compute_psi, 1),
            **{f"chi{n}": (getattr(mdtraj, f"compute_chi{n}"), 1) for n in range(1, 6)},
        }
        names: list[str] = []
        rows = []
        place: dict[tuple[str, int], int] = {}
        for kind, (compute, centre) in kinds.items():
            for quadruple in compute(frame, periodic=False)[0]:
                residue = atoms_of[quadruple[centre]].residue
                place[kind, residue.index] = len(names)
                chain = f" chain {residue.chain.index + 1}" if layout.topology.n_chains > 1 else ""
                names.append(f"{kind} {residue.name} {residue.resSeq}{chain}")
                rows.append(quadruple)
        if not names:
            raise DataError("the molecule has no torsion phi, psi or chi; there is nothing to analyse")
        atoms = np.array(rows, dtype=np.int64)
        pairs = [
            (at, place["psi", residue])
            for (kind, residue), at in place.items()
            if kind == "phi" and ("psi", residue) in place
        ]
        return Torsions(tuple(names), atoms, np.any(exchanged[atoms], axis=-1), tuple(pairs))

    def values(self, trajectory: Trajectory) -> Array:
        """[F,D] in radians, in [-π, π); folded angles in [0, π)."""
        import mdtraj

        angles = mdtraj.compute_dihedrals(trajectory, self.atoms, periodic=False).astype(np.float64)
        angles = (angles + np.pi) % (2 * np.pi) - np.pi
        return np.where(self.folded, angles % np.pi, angles)

    def range(self, number: int) -> tuple[float, float]:
        """Lowest and highest value of a torsion, radians."""
        return (0.0, np.pi) if self.folded[number] else (-np.pi, np.pi)


@dataclass(frozen=True, eq=False)
class Features:
    """What TICA sees: distances, and sines and cosines of the torsions.

    Small molecules are seen by distances of heavy atoms (of the backbone, if there are many), proteins by those of
    alpha carbons only. Atoms that may trade names are left out, so that a ring flip is no slow process.

    Attributes:
        torsions: of the molecule.
        pairs: [P,2], atoms of the distances.
        description: one line.
    """

    torsions: Torsions
    pairs: Integers
    with_torsions: bool
    description: str

    @staticmethod
    def of(trajectory: Trajectory, layout: CloudLayout) -> Features:
        """Features of a molecule.

        Raises:
            DataError: see :meth:`Torsions.of`.
        """
        torsions = Torsions.of(trajectory, layout)
        atoms = list(layout.topology.atoms)
        if sum(atom.name == "CA" for atom in atoms) >= _SMALL:
            chosen = [atom.index for atom in atoms if atom.name == "CA"]
            pairs = [(i, j) for n, i in enumerate(chosen) for j in chosen[n + 2 :]]
            return Features(torsions, np.array(pairs), False, f"{len(pairs)} distances of alpha carbons")
        far = GeometryTerms.of(layout).separation
        exchanged = exchangeable(layout)
        everything = len(atoms) <= _ALL_HEAVY
        chosen = [a.index for a in atoms if not exchanged[a.index] and (everything or a.name in _BACKBONE)]
        pairs = [(i, j) for n, i in enumerate(chosen) for j in chosen[n + 1 :] if far[i, j] > 2]
        kind = "heavy atoms" if everything else "backbone atoms"
        text = f"{len(pairs)} distances of {kind}, sines and cosines of {len(torsions.names)} torsions"
        return Features(torsions, np.array(pairs).reshape(-1, 2), True, text)

    def values(self, trajectory: Trajectory, torsions: Array) -> Array:
        """[F,K], distances in Å; the torsions [F,D] are those of ``Torsions.values``."""
        import mdtraj

        distances = ANGSTROM_PER_NM * mdtraj.compute_distances(trajectory, self.pairs, periodic=False)
        if not self.with_torsions:
            return distances.astype(np.float64)
        angles = torsions * np.where(self.torsions.folded, 2, 1)
        return np.concatenate([distances, np.sin(angles), np.cos(angles)], axis=1, dtype=np.float64)


def sizes(trajectory: Trajectory, layout: CloudLayout) -> Array:
    """[F,2] in Å: radius of gyration of the heavy atoms (equal weights), distance of the ends of the first chain."""
    xyz = ANGSTROM_PER_NM * trajectory.xyz.astype(np.float64)
    gyration = np.sqrt(xyz.var(axis=1).sum(-1))
    anchors = layout.channels[layout.chains == 0, ANCHOR]
    ends = np.linalg.norm(xyz[:, int(anchors[0])] - xyz[:, int(anchors[-1])], axis=-1)
    return np.stack([gyration, ends], axis=1)


def exchangeable(layout: CloudLayout) -> NDArray[np.bool_]:
    """[M], heavy atoms whose names a motion of the molecule may trade (see ``residues``)."""
    table = swap_table()
    traded = (table != table[0])[layout.residues]
    for channel in (OXYGEN, TERMINAL_OXYGEN):
        traded[:, channel] = layout.atom_mask[:, TERMINAL_OXYGEN]
    flags = np.zeros(layout.topology.n_atoms, dtype=bool)
    flags[layout.channels[layout.atom_mask & traded].numpy()] = True
    return flags
