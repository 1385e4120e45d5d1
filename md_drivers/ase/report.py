"""Files about a finished relaxation: structure, figure, summary tables."""

from __future__ import annotations

import csv
import logging
import warnings
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from ase.visualize.plot import plot_atoms
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from md_drivers.ase.results import RelaxResult
from md_drivers.common.run_folder import RunFolder
from mlff.support import files
from mlff.support.ticks import log_axis

# Labels of the input would clash with the results.
_DROPPED = ("energy", "free_energy", "stress", "energies", "forces")
_NOTES = ("adsorbate_info",)  # of ASE's builders of slabs, for themselves
_OWN_ARRAYS = ("numbers", "positions")
_VIEWS = (0, 90, 45, 135, 30, 60, 120, 150, 15, 75, 105, 165)  # degrees about z; the first of equals is taken
_REACH, _MOST_LOOKED_AT = 3.0, 200  # Å, about the size of an adsorbate, and its atoms

_log = logging.getLogger(__name__)


def write_structure(path: Path, result: RelaxResult) -> None:
    """Write the relaxed structure as extxyz with energy (eV), forces (eV/A), stress if known (eV/A^3) and the outcome.

    What extxyz cannot store is left out, as the log says. Constraints other than FixAtoms and FixCartesian are among
    that, hence with those ASE's ``.traj`` is written alongside.
    """
    atoms = result.atoms.copy()
    for key in (*_DROPPED, *_NOTES):
        atoms.info.pop(key, None)
        atoms.arrays.pop(key, None)
    dropped = [key for key, value in atoms.info.items() if not _fits(Atoms("H", info={key: value}))]
    for key in dropped:
        del atoms.info[key]
    for key in set(atoms.arrays) - set(_OWN_ARRAYS):
        sample = Atoms(numbers=atoms.numbers, positions=atoms.positions)
        sample.arrays[key] = atoms.arrays[key]
        if atoms.arrays[key].ndim > 2 or not _fits(sample):
            del atoms.arrays[key]
            dropped.append(key)
    if dropped:
        _log.info("structure %r: %s cannot store %s", result.name, path.name, ", ".join(map(repr, sorted(dropped))))
    atoms.info.update(converged=result.converged, fmax=result.fmax, steps=result.steps)
    if result.constraint_energy:
        atoms.info["constraint_energy"] = result.constraint_energy
    others = [one for one in atoms.constraints if not isinstance(one, (FixAtoms, FixCartesian))]
    complete = path.with_suffix(".traj")
    complete.unlink(missing_ok=True)  # of an earlier run
    if others:
        names = ", ".join(sorted({type(one).__name__ for one in others}))
        with files.replacing(complete) as temporary:
            ase.io.write(temporary, result.atoms, format="traj")
        _log.warning(
            "structure %r: %s cannot store constraints %s, %s has them", result.name, path.name, names, complete.name
        )
        atoms.set_constraint([one for one in atoms.constraints if one not in others])
    atoms.calc = result.atoms.calc
    with files.replacing(path) as temporary:
        ase.io.write(temporary, atoms, format="extxyz")


def _fits(atoms: Atoms) -> bool:
    """Whether a structure survives a round trip through extxyz."""
    text = StringIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # ASE skips some values with a warning
            ase.io.write(text, atoms, format="extxyz")
            text.seek(0)
            return len(ase.io.read(text, format="extxyz")) == len(atoms)
    except Exception:  # ASE's writer and reader raise whatever they met.
        return False


def write_figure(path: Path, result: RelaxResult, fmax: float) -> None:
    """Draw the structure before and after from the side and from above, and energy and largest force against steps."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 3, gridspec_kw={"width_ratios": [1, 1, 1.15]})
    side = _side_view(result.atoms)
    for column, (label, atoms) in enumerate((("before", result.initial), ("after", result.atoms))):
        fixed = " (pale: fixed atoms)" if _fixed(atoms) else ""
        _draw(axes[0, column], atoms, side, f"{label}, side view{fixed}")
        _draw(axes[1, column], atoms, "", f"{label}, top view")
    for row in axes[:, :2]:  # one scale for before and after
        low, high = (pick([(*a.get_xlim(), *a.get_ylim()) for a in row], axis=0) for pick in (np.min, np.max))
        for axis in row:
            axis.set(xlim=(low[0], high[1]), ylim=(low[2], high[3]))
    steps = result.first_step + np.arange(len(result.energies))
    energies = np.asarray(result.energies)
    marker = "o" if len(steps) < 60 else None
    axes[0, 2].plot(steps, energies - energies[-1], color="tab:blue", marker=marker, markersize=3, label="energy")
    axes[0, 2].set_ylabel("energy − final energy (eV)")
    if result.uncertainties:
        middle, sigma = energies - energies[-1], np.asarray(result.uncertainties)
        axes[0, 2].fill_between(
            steps, middle - sigma, middle + sigma, color="tab:blue", alpha=0.15, label="± σ, its uncertainty"
        )
        axes[0, 2].legend(frameon=False)
    if result.enthalpies:
        enthalpies = np.asarray(result.enthalpies)
        axes[0, 2].plot(steps, enthalpies - enthalpies[-1], color="tab:green", linestyle="--", label="enthalpy")
        axes[0, 2].set_ylabel("difference from the final value (eV)")
        axes[0, 2].legend(frameon=False)
    axes[1, 2].plot(steps, np.maximum(result.fmaxes, 1e-12), color="tab:red", marker=marker, markersize=3)
    if len(result.forces_uncertainties) == len(steps):
        axes[1, 2].plot(steps, result.forces_uncertainties, color="tab:purple", label="σ of the forces (RMS)")
    axes[1, 2].axhline(fmax, color="black", linestyle="--", linewidth=1, label=f"threshold, {fmax:g} eV/Å")
    log_axis(axes[1, 2], "y")
    axes[1, 2].set_ylabel("largest force (eV/Å)")
    axes[1, 2].legend(frameon=False)
    for axis in axes[:, 2]:
        axis.set_xlabel("step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    outcome = "converged" if result.converged else "not converged"
    if result.close_contacts:
        outcome = f"atoms too close ({result.close_contacts[0]})"
    figure.suptitle(
        f"{result.name}: {outcome} after {result.steps} steps, E = {result.energy:.4f} eV, "
        f"largest force {result.fmax:.4f} eV/Å",
        parse_math=False,  # a name may have dollar signs in it
    )
    shown = [atomic_numbers[symbol] for symbol in dict.fromkeys(result.atoms.get_chemical_symbols())]
    keys = [
        Line2D([], [], linestyle="", marker="o", color=tuple(jmol_colors[n]), mec="black", label=chemical_symbols[n])
        for n in shown
    ]
    figure.legend(handles=keys, loc="outside lower left", ncols=12, frameon=False)
    files.write_figure(path, figure)


def write_summary(folder: RunFolder, status: str, results: Sequence[RelaxResult], failures: Mapping[str, str]) -> None:
    """Write ``summary.json``, the record, and ``summary.csv``; file names in them are relative to the folder.

    Args:
        folder: the output folder.
        status: how it ended.
        results: the structures that finished, at least one unless something failed.
        failures: messages of those that failed, by name.
    """
    rows = [_row(result, folder.path) for result in results]
    failed = [{"name": name, "converged": False, "error": message} for name, message in failures.items()]
    folder.content["model"]["model"] = folder.content["model"]["name"]  # the former key
    folder.update(status=status, structures=rows, failed=failed)
    # Columns that only some rows have (enthalpy, error) come last.
    columns = dict.fromkeys(key for row in (*rows, *failed) for key in row)
    table = StringIO()
    writer = csv.DictWriter(table, fieldnames=list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    lists = ("close_contacts", "outside_domain")
    writer.writerows({**row, **{key: "; ".join(row[key]) for key in lists}} for row in rows)
    writer.writerows(failed)
    files.write_text(folder.path / "summary.csv", table.getvalue())


def _row(result: RelaxResult, folder: Path) -> dict[str, Any]:
    def relative(path: Path | None) -> str:
        return "" if path is None else path.relative_to(folder).as_posix()

    row = {
        "name": result.name,
        "formula": result.atoms.get_chemical_formula(),
        "converged": result.converged,
        "steps": result.steps,
        "energy_eV": result.energy,
        "energy_change_eV": result.energy_change,
        "fmax_eV_per_A": result.fmax,
        "seconds": round(result.seconds, 3),
        "neighbor_rebuilds": result.neighbor_rebuilds,
        "close_contacts": list(result.close_contacts),
        "outside_domain": dict(result.outside),
        "trajectory": relative(result.trajectory),
        "relaxed": relative(result.relaxed),
        "figure": relative(result.figure),
    }
    if result.constraint_energy:
        row["constraint_energy_eV"] = result.constraint_energy
    if result.enthalpy is not None:
        row["enthalpy_eV"] = result.enthalpy
    if result.uncertainties:
        row["energy_uncertainty_eV"] = result.uncertainties[-1]
    if result.forces_uncertainties:
        row["forces_uncertainty_eV_per_A"] = result.forces_uncertainties[-1]
    return row


def _side_view(atoms: Atoms) -> str:
    """Rotation, in ASE's notation, to the horizontal view in which an adsorbate's atoms hide each other least.

    These are the atoms on top, but for those of the commonest element, a slab's.
    """
    heights, radii = atoms.positions[:, 2], covalent_radii[atoms.numbers]
    slab = np.bincount(atoms.numbers).argmax()
    top = np.flatnonzero((heights > heights.max() - _REACH) & (atoms.numbers != slab))[:_MOST_LOOKED_AT]
    apart = atoms.positions[top, None] - atoms.positions
    first, second = np.nonzero((np.linalg.norm(apart, axis=-1) < _REACH) & (top[:, None] != np.arange(len(atoms))))
    apart, touching = apart[first, second], radii[top[first]] + radii[second]

    def hidden(angle: int) -> float:
        across = apart[:, 0] * np.cos(np.radians(angle)) + apart[:, 1] * np.sin(np.radians(angle))
        return float(np.maximum(0.0, 1.0 - np.hypot(across, apart[:, 2]) / touching).sum().round(3))

    return f"-{min(_VIEWS, key=hidden)}z,-90x"


def _draw(axis: Axes, atoms: Atoms, rotation: str, title: str) -> None:
    # From the side the cell would show mostly vacuum, from above it shows the repeat unit.
    colors = jmol_colors[atoms.numbers]
    fixed = _fixed(atoms)
    colors[fixed] = 0.35 * colors[fixed] + 0.65
    show_cell = 2 if not rotation and atoms.cell.rank == 3 else 0
    plot_atoms(atoms, axis, rotation=rotation, colors=colors, show_unit_cell=show_cell)
    axis.set_title(title, fontsize=10)


def _fixed(atoms: Atoms) -> list[int]:
    """Indices of atoms that do not move at all."""
    return sorted({int(i) for one in atoms.constraints if isinstance(one, FixAtoms) for i in one.index})
