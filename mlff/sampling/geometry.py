"""Backbone dihedrals and handedness of capped peptides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.sampling.building import METHYL, Peptide

Array = NDArray[np.float64]


def dihedral(positions: Array, quadruples: NDArray[np.int64]) -> Array:
    """Dihedral angles in degrees, (-180, 180], IUPAC sign.

    Args:
        positions: [...,N,3].
        quadruples: [R,4] atom indices.

    Returns:
        [...,R]
    """
    a, b, c, d = (positions[..., quadruples[:, i], :] for i in range(4))
    axis = c - b
    first, second = np.cross(b - a, axis), np.cross(axis, d - c)
    sine = (np.cross(first, second) * axis).sum(-1) / np.linalg.norm(axis, axis=-1)
    return np.degrees(np.arctan2(sine, (first * second).sum(-1)))


@dataclass(frozen=True)
class Backbone:
    """Atoms that define the backbone of a capped peptide of R residues.

    Attributes:
        phi, psi: [R,4] atom indices.
        omega: [R+1,4], caps included.
        stereocentres: [S,4] indices of N, C, CB and CA of every residue but glycine.
    """

    phi: NDArray[np.int64]
    psi: NDArray[np.int64]
    omega: NDArray[np.int64]
    stereocentres: NDArray[np.int64]

    @classmethod
    def of(cls, peptide: Peptide) -> Backbone:
        """Looks the atoms up by their names."""
        chain = list(peptide.topology.residues())
        residues = [{atom.name: atom.index for atom in residue.atoms()} for residue in chain]
        alpha = [atoms[METHYL.get(residue.name, "CA")] for residue, atoms in zip(chain, residues, strict=True)]
        inner = range(1, len(residues) - 1)
        phi = [[residues[i - 1]["C"], residues[i]["N"], alpha[i], residues[i]["C"]] for i in inner]
        psi = [[residues[i]["N"], alpha[i], residues[i]["C"], residues[i + 1]["N"]] for i in inner]
        omega = [[alpha[i], residues[i]["C"], residues[i + 1]["N"], alpha[i + 1]] for i in range(len(residues) - 1)]
        centres = [[r["N"], r["C"], r["CB"], r["CA"]] for r in residues[1:-1] if "CB" in r]
        arrays = (np.array(rows, dtype=np.int64).reshape(-1, 4) for rows in (phi, psi, omega, centres))
        return cls(*arrays)

    def all_trans(self, positions: Array) -> NDArray[np.bool_]:
        """Whether every peptide bond of a structure is nearer to trans than to cis; positions [...,N,3] -> [...]."""
        return np.all(np.abs(dihedral(positions, self.omega)) > 90.0, axis=-1)

    def all_l(self, positions: Array) -> NDArray[np.bool_]:
        """Whether every alpha carbon of a structure has the L configuration; positions [...,N,3] -> [...]."""
        n, c, cb, ca = (positions[..., self.stereocentres[:, i], :] for i in range(4))
        # Seen from the side of H, CO, R and N follow clockwise in L amino acids (IUPAC 3AA-3.2).
        return np.all((np.cross(n - ca, c - ca) * (cb - ca)).sum(-1) > 0.0, axis=-1)
