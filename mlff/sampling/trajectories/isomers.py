"""Which isomer a frame is: trans or cis at every peptide bond, L or D at every alpha carbon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlff.proteins.layout import CloudLayout
from mlff.proteins.residues import ANCHOR, CARBON, NITROGEN
from mlff.sampling.geometry import is_left, is_trans, quadruples

_BETA = 4


@dataclass(frozen=True, eq=False)
class Isomers:
    """Atoms that decide it, K peptide bonds and S alpha carbons.

    Attributes:
        omega: [K,4] indices of heavy atoms: anchor, C, N, anchor.
        centres: [S,4] N, C, CB and CA of every residue but glycine and caps.
        labels: K + S words for messages.
    """

    omega: NDArray[np.int64]
    centres: NDArray[np.int64]
    labels: tuple[str, ...]

    @staticmethod
    def of(layout: CloudLayout) -> Isomers:
        """Those of a layout."""
        channels, chains, names = layout.channels.numpy(), layout.chains.numpy(), layout.labels
        bonded = [i for i in range(len(chains) - 1) if chains[i] == chains[i + 1]]
        chiral = [i for i in range(len(chains)) if channels[i, _BETA] >= 0]
        omega = [(*channels[i, [ANCHOR, CARBON]], *channels[i + 1, [NITROGEN, ANCHOR]]) for i in bonded]
        centres = [channels[i, [NITROGEN, CARBON, _BETA, ANCHOR]] for i in chiral]
        labels = [f"the peptide bond of {names[i]} and {names[i + 1]} turned over" for i in bonded]
        labels += [f"{names[i]} became its mirror image" for i in chiral]
        return Isomers(quadruples(omega), quadruples(centres), tuple(labels))

    def of_frames(self, atoms: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Heavy atoms [...,M,3] -> [...,K+S], True for trans and for L."""
        precise: NDArray[np.float64] = atoms.astype(np.float64)
        return np.concatenate([is_trans(precise, self.omega), is_left(precise, self.centres)], axis=-1)

    def first_change(self, frames: NDArray[np.floating], reference: NDArray[np.floating]) -> tuple[int, str] | None:
        """The first of the frames [F,M,3] that is another isomer than the reference [M,3], and what happened."""
        changed = self.of_frames(frames) != self.of_frames(reference)
        where = np.flatnonzero(changed.any(axis=-1))
        if not len(where):
            return None
        first = int(where[0])
        return first, self.labels[int(np.flatnonzero(changed[first])[0])]
