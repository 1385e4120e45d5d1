"""Files about a finished relaxation: structure, figure, summary tables."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.visualize.plot import plot_atoms
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from md_drivers.ase_calculator import MLFFCalculator
from md_drivers.results import RelaxResult

# Labels of the input would clash with the results, and extxyz cannot hold the table that ASE's surface builder leaves.
_DROPPED_INFO = ("energy", "free_energy", "stress", "adsorbate_info")
_DROPPED_ARRAYS = ("energies", "forces")


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a temporary file beside ``path`` and move it there when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_extxyz(path: Path, result: RelaxResult) -> None:
    """Write the relaxed structure with energy (eV), forces (eV/A), stress if known (eV/A^3) and the outcome."""
    atoms = result.atoms.copy()
    for key in _DROPPED_INFO:
        atoms.info.pop(key, None)
    for key in _DROPPED_ARRAYS:
        atoms.arrays.pop(key, None)
    atoms.info.update(converged=result.converged, fmax=result.fmax, steps=result.steps)
    atoms.calc = result.atoms.calc
    write_atomic(path, lambda temporary: ase.io.write(temporary, atoms, format="extxyz"))


def write_figure(path: Path, result: RelaxResult, fmax: float) -> None:
    """Draw the structure before and after from the side and from above, and energy and largest force against steps."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3, gridspec_kw={"width_ratios": [1, 1, 1.15]})
    side = _side_view(result.atoms)
    for column, (label, atoms) in enumerate((("before", result.initial), ("after", result.atoms))):
        _draw(axes[0, column], atoms, side, f"{label}, side view")
        _draw(axes[1, column], atoms, "", f"{label}, top view")
    steps = np.arange(len(result.energies))
    energies = np.asarray(result.energies)
    marker = "o" if len(steps) < 60 else None
    axes[0, 2].plot(steps, energies - energies[-1], color="tab:blue", marker=marker, markersize=3)
    axes[0, 2].set_ylabel("energy − final energy (eV)")
    axes[1, 2].plot(steps, np.maximum(result.fmaxes, 1e-12), color="tab:red", marker=marker, markersize=3)
    axes[1, 2].axhline(fmax, color="black", linestyle="--", linewidth=1, label=f"criterion, {fmax:g} eV/Å")
    axes[1, 2].set_yscale("log")
    axes[1, 2].set_ylabel("largest force (eV/Å)")
    axes[1, 2].legend(frameon=False)
    for axis in axes[:, 2]:
        axis.set_xlabel("step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    outcome = "converged" if result.converged else "not converged"
    figure.suptitle(
        f"{result.name}: {outcome} after {result.steps} steps, E = {result.energy:.4f} eV, "
        f"largest force {result.fmax:.4f} eV/Å"
    )
    write_atomic(path, lambda temporary: figure.savefig(temporary, format="png", dpi=130))


def write_summary(folder: Path, results: Sequence[RelaxResult], calculator: MLFFCalculator) -> None:
    """Write ``summary.json`` (with the model) and ``summary.csv`` into ``folder``; file names are relative to it."""
    rows = [_row(result, folder) for result in results]
    model = {key: str(calculator.parameters[key]) for key in ("model", "sha256", "dtype")}
    text = json.dumps({"model": model, "structures": rows}, indent=2) + "\n"
    write_atomic(folder / "summary.json", lambda temporary: _write_text(temporary, text))
    table = StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / "summary.csv", lambda temporary: _write_text(temporary, table.getvalue()))


def _row(result: RelaxResult, folder: Path) -> dict[str, Any]:
    def relative(path: Path | None) -> str:
        return "" if path is None else path.relative_to(folder).as_posix()

    return {
        "name": result.name,
        "formula": result.atoms.get_chemical_formula(),
        "converged": result.converged,
        "steps": result.steps,
        "energy_eV": result.energy,
        "energy_change_eV": result.energies[-1] - result.energies[0],
        "fmax_eV_per_A": result.fmax,
        "seconds": round(result.seconds, 3),
        "neighbor_rebuilds": result.neighbor_rebuilds,
        "trajectory": relative(result.trajectory),
        "relaxed": relative(result.relaxed),
        "figure": relative(result.figure),
    }


def _side_view(atoms: Atoms) -> str:
    """Rotation, in ASE's notation, that looks along x or y, whichever shows more of what lies on top."""
    heights = atoms.positions[:, 2]
    spread = np.ptp(atoms.positions[heights > heights.max() - 3.0], axis=0)  # A, about the size of an adsorbate
    return "-90z,-90x" if spread[1] > spread[0] else "-90x"


def _draw(axis: Axes, atoms: Atoms, rotation: str, title: str) -> None:
    # From the side the cell would show mostly vacuum, from above it shows the repeat unit.
    plot_atoms(atoms, axis, rotation=rotation, show_unit_cell=2 if not rotation and atoms.cell.rank == 3 else 0)
    axis.set_title(title, fontsize=10)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
