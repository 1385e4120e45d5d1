"""Figures of a simulation."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
from ase.geometry import get_dihedrals
from openmm import app

from md_drivers.common.figures import dihedral_counts, draw_ramachandran, new_figure
from md_drivers.openmm.simulation.structure import backbone
from md_drivers.openmm.simulation.trajectory import read_positions
from mlff.support.files import write_figure

_log = logging.getLogger(__name__)


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Columns of ``state.csv`` by name."""
    with open(path, encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    values = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    return dict(zip(names, values.T, strict=True))


def draw_state(path: Path, table: dict[str, np.ndarray], atoms: int) -> None:
    """Energies for each atom, relative to the first sample, and temperature against time."""
    figure = new_figure(7, 5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    time = table["time_ps"]
    for name, colour in (("potential", "tab:blue"), ("kinetic", "tab:orange"), ("total", "black")):
        energy = table[f"{name}_eV"]
        upper.plot(time, 1e3 * (energy - energy[:1]) / atoms, color=colour, linewidth=0.8, label=name)
    upper.set_ylabel("energy − first (meV/atom)")
    upper.legend(frameon=False, ncols=3, fontsize="small")
    mean = table["temperature_K"].mean()
    lower.plot(time, table["temperature_K"], color="tab:red", linewidth=0.8)
    lower.axhline(mean, color="black", linestyle="--", linewidth=1, label=f"mean {mean:.1f} K")
    lower.set(xlabel="time (ps)", ylabel="temperature (K)")
    lower.legend(frameon=False, fontsize="small")
    write_figure(path, figure)


def draw_dihedrals(path: Path, trajectory: Path, topology: app.Topology) -> None:
    """Backbone dihedrals of all frames and residues; nothing where the topology has none."""
    phi, psi = backbone(topology)
    if len(phi) == 0:
        return
    atoms, places = np.unique(np.stack([phi, psi]), return_inverse=True)
    try:
        positions = read_positions(trajectory, topology, atoms)
    except ImportError as error:
        _log.warning("no %s: %s", path.name, error)
        return
    first, second = (dihedrals(positions, quadruples) for quadruples in places.reshape(2, -1, 4))
    title = f"{len(positions)} frames, {len(phi)} residue{'s' if len(phi) > 1 else ''}"
    draw_ramachandran(path, dihedral_counts(first, second), title)


def dihedrals(positions: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Angles [T, R] in degrees, -180 to 180, IUPAC sign, of atoms [R, 4] at positions [T, N, 3]."""
    first, second, third = (positions[:, atoms[:, k + 1]] - positions[:, atoms[:, k]] for k in range(3))
    angles = get_dihedrals(*(vectors.reshape(-1, 3).astype(np.float64) for vectors in (first, second, third)))
    return (angles.reshape(len(positions), -1) + 180.0) % 360.0 - 180.0
