"""Backbone dihedrals and handedness of capped peptides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlff.sampling.building import METHYL, Peptide

Array = NDArray[np.float64]


def quadruples(rows: ArrayLike) -> NDArray[np.int64]:
    """Rows of four atoms as [R,4], also of none."""
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def dihedral(positions: Array, atoms: NDArray[np.int64]) -> Array:
    """Dihedral angles in degrees, (-180, 180], IUPAC sign.

    Args:
        positions: [...,N,3].
        atoms: [R,4] indices.

    Returns:
        [...,R]
    """
    a, b, c, d = (positions[..., atoms[:, i], :] for i in range(4))
    axis = c - b
    first, second = np.cross(b - a, axis), np.cross(axis, d - c)
    sine = (np.cross(first, second) * axis).sum(-1) / np.linalg.norm(axis, axis=-1)
    return np.degrees(np.arctan2(sine, (first * second).sum(-1)))


def is_trans(positions: Array, omega: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether peptide bonds [K,4] are nearer to trans than to cis; positions [...,N,3] -> [...,K]."""
    return np.abs(dihedral(positions, omega)) > 90.0


def is_left(positions: Array, centres: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether alpha carbons have the L configuration; positions [...,N,3], N, C, CB, CA [S,4] -> [...,S]."""
    n, c, cb, ca = (positions[..., centres[:, i], :] for i in range(4))
    # Seen from the side of H, CO, R and N follow clockwise in L amino acids (IUPAC 3AA-3.2).
    return (np.cross(n - ca, c - ca) * (cb - ca)).sum(-1) > 0.0


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
        return cls(*map(quadruples, (phi, psi, omega, centres)))

    def all_trans(self, positions: Array) -> NDArray[np.bool_]:
        """Whether every peptide bond of a structure is nearer to trans than to cis; positions [...,N,3] -> [...]."""
        return np.all(is_trans(positions, self.omega), axis=-1)

    def all_l(self, positions: Array) -> NDArray[np.bool_]:
        """Whether every alpha carbon of a structure has the L configuration; positions [...,N,3] -> [...]."""
        return np.all(is_left(positions, self.stereocentres), axis=-1)
