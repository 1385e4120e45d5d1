"""What slow motions of peptides and proteins are looked for in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlff.proteins.layout import CloudLayout
from mlff.proteins.residues import ANCHOR, CARBON, NITROGEN

#: Part of the name of everything that is kept on disk and depends on this file.
VERSION = 1

# Distances of all heavy atoms up to this number of them, of anchors above it.
_SMALL = 16
_BETA, _GAMMA = 4, 5


def features(layout: CloudLayout, atoms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances (Å) and sines and cosines of phi, psi and chi1.

    Args:
        layout: M heavy atoms.
        atoms: [F,M,3], Å.

    Returns:
        [F,D]
    """
    import mdtraj

    anchors = layout.channels[:, ANCHOR].numpy()
    points = atoms if layout.topology.n_atoms <= _SMALL else atoms[:, anchors]
    i, j = np.triu_indices(points.shape[1], k=1)
    distances = np.linalg.norm(points[:, i] - points[:, j], axis=-1)
    molecule = mdtraj.Trajectory(atoms, layout.topology)  # angles have no unit of length
    angles = mdtraj.compute_dihedrals(molecule, _torsions(layout), periodic=False)
    return np.concatenate([distances, np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def _torsions(layout: CloudLayout) -> NDArray[np.int64]:
    """[T,4] atoms of phi, psi and chi1, where they exist."""
    channels, chains = layout.channels.numpy(), layout.chains.numpy()
    rows = []
    for i in range(len(channels)):
        n, ca, c, beta, gamma = channels[i, [NITROGEN, ANCHOR, CARBON, _BETA, _GAMMA]]
        before = channels[i - 1, CARBON] if i > 0 and chains[i - 1] == chains[i] else -1
        after = channels[i + 1, NITROGEN] if i + 1 < len(chains) and chains[i + 1] == chains[i] else -1
        rows += [(before, n, ca, c), (n, ca, c, after), (n, ca, beta, gamma)]
    torsions = np.array(rows, dtype=np.int64)
    return torsions[(torsions >= 0).all(axis=-1)]
