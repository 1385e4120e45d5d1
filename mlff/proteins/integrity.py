"""Are coordinates the molecule that their names say? What no thermal motion does is an error, in data and in starts."""

from __future__ import annotations

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from mlff.proteins.geometry import LINK, Floats, GeometryTerms
from mlff.proteins.layout import CloudLayout
from mlff.support.errors import DataError

# Of the sum of the covalent radii (Cordero et al., Dalton Trans. 2832 (2008)). In dynamics at 600 K (AMBER14, all 20
# residues, 10000 frames) bonds have 0.77 to 1.16 and these limits are 7.1 (C=O) and 9.7 standard deviations from the
# mean of any bond, in DFT dynamics at 500 K (rMD17) 7.9 and 7.8: fewer than one frame of 10^9 is refused for its
# bonds. `python -m benchmarks.bond_ratios` measures it.
SHORTEST, LONGEST = 0.7, 1.3
_NEAREST = 1.7  # Å, of atoms without a bond; ends of the sharpest angle, in rings of five, are 2.1 apart
# Signs of `GeometryTerms.handedness` of the natural amino acids: the alpha carbons, (3S)-Ile, (3R)-Thr, and the methyl
# groups of Val and Leu by their names (IUPAC, J. Mol. Biol. 52, 1 (1970)).
_ALPHA = 1
_SIDE_CHAINS = {"ILE:CB": 1, "LEU:CG": -1, "THR:CB": -1, "VAL:CB": -1}
_CHUNK = 4_000_000  # distances at a time

_CURES = {
    "bond": "make molecules whole that a periodic box has cut (MDTraj: make_molecules_whole, GROMACS: trjconv -pbc "
    "whole), keep the order of the atoms of the topology, or correct the structure",
    "unit": "coordinates seem to be in another unit than the file should have, or to be none",
    "hand": "D residues are other molecules than the names say; correct the names or the structure",
    "name": "correct the names or the order of the atoms",
    "near": "correct the structure, for example by a minimisation with a force field",
    "number": "correct or leave out what is damaged",
}


class IntegrityCheck:
    """Judges frames of one molecule: finite, bonds whole, hands as named, no atoms on top of each other.

    Limits are wide: what exceeds them is no molecule at any temperature. :class:`GeometryCheck` finds what is unusual.

    Args:
        layout: the molecule, of M heavy atoms.
    """

    def __init__(self, layout: CloudLayout) -> None:
        self.layout, self.terms = layout, GeometryTerms.of(layout)
        atoms = list(layout.topology.atoms)
        self._labels = [f"{atom.name} of {layout.labels[atom.residue.index]}" for atom in atoms]
        radii = covalent_radii[[atomic_numbers[atom.element.symbol] for atom in atoms]]
        self._lengths = radii[self.terms.bonds].sum(-1)
        self._links = np.array([name.startswith(LINK) for name in self.terms.bond_names])
        names = self.terms.centre_names
        alpha = [_ALPHA if name.endswith(":CA") else 0 for name in names]
        self._hands = np.array([_SIDE_CHAINS.get(name, a) for name, a in zip(names, alpha, strict=True)])
        self._bonded = torch.from_numpy(np.where(self.terms.separation <= 1, np.inf, 0.0).astype(np.float32))

    def broken(self, atoms: NDArray[np.floating]) -> NDArray[np.bool_]:
        """[F] of heavy atoms [F,M,3] in Å: which frames are not the molecule."""
        step = max(1, _CHUNK // self._bonded.numel())
        starts = range(0, len(atoms), step)
        parts = [self._broken(np.asarray(atoms[start : start + step], dtype=np.float64)) for start in starts]
        return np.concatenate([np.zeros(0, dtype=bool), *parts])

    def __call__(self, atoms: NDArray[np.floating]) -> None:
        """Make sure that all frames [F,M,3] in Å are the molecule.

        Raises:
            DataError: naming the first frame that is not, residues and atoms, and how many there are.
        """
        frames = np.flatnonzero(self.broken(atoms))
        if not len(frames):
            return
        kind, words = self._fault(np.asarray(atoms[frames[0]], dtype=np.float64))
        if len(frames) > 1:
            words += f" (frames {frames[0]} to {frames[-1]} have such faults, {len(frames)} of {len(atoms)})"
        raise DataError(words, frame=int(frames[0]) if len(atoms) > 1 else None, hint=_CURES[kind])

    def _broken(self, atoms: Floats) -> NDArray[np.bool_]:
        # "not within", so that NaN is caught as well
        lengths = self.terms.bond_lengths(atoms) / self._lengths
        torn = ~((lengths > SHORTEST) & (lengths < LONGEST)).all(-1)
        wrong = ~((self._hands == 0) | (self.terms.handedness(atoms) * self._hands > 0)).all(-1)
        near = ~(self._distances(atoms).amin((-2, -1)) > _NEAREST).numpy()
        return torn | wrong | near | ~np.isfinite(atoms).all((-2, -1))

    def _distances(self, atoms: Floats) -> torch.Tensor:
        """[F,M,M] in Å; infinite for bonded atoms."""
        # Centred, since the fast way over products of matrices has the errors of their squares.
        with np.errstate(invalid="ignore"):  # of infinite coordinates
            centred = np.asarray(atoms - atoms.mean(-2, keepdims=True), dtype=np.float32)
        return torch.cdist(torch.from_numpy(centred), torch.from_numpy(centred)) + self._bonded

    def _fault(self, atoms: Floats) -> tuple[str, str]:
        """Kind and words of the worst fault of one frame [M,3]."""
        labels = self._labels
        if not np.isfinite(atoms).all():
            return "number", f"the position of {labels[int(np.argmin(np.isfinite(atoms).all(-1)))]} is not finite"
        lengths = self.terms.bond_lengths(atoms)
        ratios = lengths / self._lengths
        torn = ~((ratios > SHORTEST) & (ratios < LONGEST))
        if torn.any():
            links = np.flatnonzero(torn & self._links)
            worst = int(links[0]) if len(links) else int(np.abs(np.log(ratios.clip(1e-9))).argmax())
            first, second = (labels[atom] for atom in self.terms.bonds[worst])
            words = "broken chain" if len(links) else "no whole molecule"
            words += f": {first} and {second} are {lengths[worst]:.2f} Å apart, but bonded"
            typical = float(np.median(ratios))
            if not SHORTEST < typical < LONGEST:
                return "unit", words
            return "bond" if ratios[worst] > 1.0 else "near", words
        hands = self.terms.handedness(atoms) * self._hands
        wrong = np.flatnonzero((self._hands != 0) & ~(hands > 0))
        if len(wrong):
            words = f"{labels[self.terms.centres[wrong[0], 0]]} has the wrong hand, as "
            if self.terms.centre_names[wrong[0]].endswith(":CA"):
                return "hand", f"{words}in a mirror image (a D residue)"
            return "name", f"{words}if names of its neighbours were exchanged"
        distances = self._distances(atoms[None])[0]
        one, other = divmod(int(distances.argmin()), len(atoms))
        return "near", f"{labels[one]} and {labels[other]} are {distances[one, other]:.2f} Å apart, but not bonded"
