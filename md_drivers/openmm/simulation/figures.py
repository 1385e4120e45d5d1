"""Figures of a simulation."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from openmm import app

from md_drivers.common.engine import import_mdtraj
from md_drivers.common.figures import draw_ramachandran
from md_drivers.common.trajectory_files import read_frames
from mlff.support.files import write_figure

_log = logging.getLogger(__name__)


def draw_state(path: Path, table: dict[str, np.ndarray], atoms: int, target: float | None) -> None:
    """Energies for each atom, relative to the first sample, and temperature against time; ``target`` of the latter."""
    sigmas = table.get("forces_uncertainty_eV_per_A")
    figure = Figure(figsize=(7, 5 if sigmas is None else 6.5), layout="constrained")
    upper, lower, *last = figure.subplots(2 if sigmas is None else 3, 1, sharex=True)
    time = table["time_ps"]
    for name, colour in (("potential", "tab:blue"), ("kinetic", "tab:orange"), ("total", "black")):
        energy = table[f"{name}_eV"]
        upper.plot(time, 1e3 * (energy - energy[:1]) / atoms, color=colour, linewidth=0.8, label=name)
    upper.set_ylabel("energy − first (meV/atom)")
    upper.legend(frameon=False, ncols=3, fontsize="small")
    mean = table["temperature_K"].mean()
    lower.plot(time, table["temperature_K"], color="tab:red", linewidth=0.8)
    lower.axhline(mean, color="black", linestyle="--", linewidth=1, label=f"mean, {mean:.1f} K")
    if target is not None:
        lower.axhline(target, color="tab:green", linestyle=":", linewidth=1.5, label=f"target, {target:g} K")
    lower.set_ylabel("temperature (K)")
    lower.legend(frameon=False, ncols=2, fontsize="small")
    for axis in last:
        axis.plot(time, sigmas, color="tab:purple", linewidth=0.8)
        axis.set(ylabel="σ of the forces (eV/Å)", ylim=(0, None))
        axis.set_ylim(top=1.08 * max(axis.lines[0].get_ydata()))
    (*last, lower)[0].set_xlabel("time (ps)")
    write_figure(path, figure)


def draw_dihedrals(path: Path, trajectory: Path, topology: app.Topology) -> None:
    """Backbone dihedrals of all frames and residues; nothing where the topology has none, or without MDTraj."""
    try:
        mdtraj = import_mdtraj(f" for {path.name}")
    except ImportError as error:
        _log.warning("no %s: %s", path.name, error)
        return
    frames = read_frames(trajectory, topology.getNumAtoms(), boxes=topology.getPeriodicBoxVectors() is not None)
    draw_ramachandran(path, mdtraj.Topology.from_openmm(topology), frames)
