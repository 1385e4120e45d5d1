"""Figures that the drivers share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from md_drivers.common.engine import import_mdtraj
from mlff.support.files import write_figure

if TYPE_CHECKING:
    from mdtraj import Topology

_BINS = 72  # of 5 degrees


def draw_ramachandran(path: Path, topology: Topology, frames: Iterable[np.ndarray]) -> None:
    """Write a histogram of phi and psi as PNG, of all frames and residues that have both; nothing where none has.

    Args:
        path: of the figure.
        topology: of MDTraj, N atoms.
        frames: parts of a trajectory, [F, N, 3] each.

    Raises:
        ImportError: MDTraj is not installed.
    """
    mdtraj = import_mdtraj(f" for {path.name}")
    finders = mdtraj.geometry.dihedral.indices_phi, mdtraj.geometry.dihedral.indices_psi
    phi, psi = (np.asarray(find(topology), dtype=np.int64).reshape(-1, 4) for find in finders)
    # A residue is known by its nitrogen: the second atom of phi, the first of psi.
    residues, with_phi, with_psi = np.intersect1d(phi[:, 1], psi[:, 0], return_indices=True)
    if not len(residues):
        return
    atoms = np.concatenate([phi[with_phi], psi[with_psi]])
    edges = np.linspace(-180.0, 180.0, _BINS + 1)
    counts, total = np.zeros((_BINS, _BINS)), 0
    for part in frames:
        angles = np.degrees(mdtraj.compute_dihedrals(mdtraj.Trajectory(part, topology), atoms, periodic=False))
        first, second = np.split(angles, 2, axis=1)
        counts += np.histogram2d(first.ravel(), second.ravel(), bins=[edges, edges])[0]
        total += len(part)
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.subplots()
    image = axes.pcolormesh(edges, edges, np.where(counts > 0, counts, np.nan).T, cmap="viridis", vmin=0)
    figure.colorbar(image, ax=axes, label="frames × residues", ticks=MaxNLocator(integer=True, min_n_ticks=1))
    ticks = range(-180, 181, 60)
    axes.set(xlabel="φ (°)", ylabel="ψ (°)", xticks=ticks, yticks=ticks, aspect="equal")
    axes.set_title(f"{total} frames, {len(residues)} residue{'s' if len(residues) > 1 else ''}", fontsize=10)
    axes.grid(alpha=0.3)
    write_figure(path, figure)
