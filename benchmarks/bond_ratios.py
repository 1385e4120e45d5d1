"""How short and long bonds of sound molecules get, in units of the sum of their covalent radii.

    python -m benchmarks.bond_ratios --temperatures 300 600 -o bond_ratios.json
    python -m benchmarks.bond_ratios md.extxyz

From dynamics of two peptides with all 20 residues (AMBER14, vacuum, no constraints), or from frames of files of one
molecule each, whose bonds are those of the first frame. The margins are the distances of the limits of
``mlff.proteins.integrity`` from the mean of a bond in its standard deviations, the smallest of all bonds: if these
were normal, 6 would mean one false refusal in 10^9 lengths. Only bonds between heavy atoms are judged there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import measure_and_show, new_parser
from mlff.proteins.integrity import LONGEST, SHORTEST
from mlff.sampling.building import capped_peptide
from mlff.sampling.dynamics import DynamicsConfig, minimise, sample
from mlff.structures import read_structures

_SEQUENCES = ("ACDEFGHIKL", "MNPQRSTVWY")
_BONDED = 1.25  # of the radii
_HYDROGEN = 1


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """The whole record.

    Raises:
        ValueError: a file that cannot be read, or has fewer than two frames.
    """
    sources = [_of_file(path) for path in options.files] or _of_dynamics(options.temperatures, options.frames)
    rows = [row for name, numbers, frames in sources for row in margins(name, numbers, frames)]
    return {"shortest": SHORTEST, "longest": LONGEST, "rows": rows}


def margins(name: str, numbers: NDArray[np.integer], frames: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Ratios in frames [F,N,3] in Å of atoms [N]: one row for bonds of heavy atoms, one for those of hydrogens."""
    if len(frames) < 2:
        raise ValueError(f"{name}: {len(frames)} frames, needed are two or more")
    radii = covalent_radii[numbers][:, None] + covalent_radii[numbers]
    distances = np.linalg.norm(frames[0][:, None] - frames[0], axis=-1)
    bonds = np.argwhere(np.triu(distances < _BONDED * radii, 1))
    ratios = np.linalg.norm(frames[:, bonds[:, 0]] - frames[:, bonds[:, 1]], axis=-1) / radii[tuple(bonds.T)]
    light = (numbers[bonds] == _HYDROGEN).any(-1)
    rows = []
    for kind, chosen in (("heavy", ~light), ("hydrogen", light)):
        if chosen.any():
            part = ratios[:, chosen]
            mean, spread = part.mean(0), part.std(0)
            low, high = ((mean - SHORTEST) / spread).min(), ((LONGEST - mean) / spread).min()
            row = {"name": name, "bonds": kind, "frames": len(part), "shortest": part.min(), "longest": part.max()}
            rows.append({k: v if isinstance(v, str | int) else float(v) for k, v in row.items()})
            rows[-1] |= {"margin_below": float(low), "margin_above": float(high)}
    return rows


def _of_file(path: Path) -> tuple[str, NDArray[np.integer], NDArray[np.float64]]:
    frames = [atoms for atoms in read_structures(path, slice(None)) if isinstance(atoms, Atoms)]
    if any(atoms.numbers.tolist() != frames[0].numbers.tolist() for atoms in frames):
        raise ValueError(f"{path}: frames of several molecules")
    return path.name, frames[0].numbers, np.stack([atoms.positions for atoms in frames])


def _of_dynamics(temperatures: Sequence[float], count: int) -> Iterator[Any]:
    flexible = DynamicsConfig(time_step=0.5, hydrogen_mass=1.0)
    for sequence in _SEQUENCES:
        peptide = minimise(capped_peptide(sequence), "none")
        numbers = np.array([atom.element.atomic_number for atom in peptide.topology.atoms()])
        for temperature in temperatures:
            course = sample(peptide, "none", temperature, interval=0.02, equilibration=5.0, seed=1, dynamics=flexible)
            frames = np.stack([positions for _, positions in islice(course, count)])
            yield f"{sequence} {temperature:g} K", numbers, frames


def show(record: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(title=f"bond lengths over the sum of the covalent radii, limits {SHORTEST} and {LONGEST}")
    for head in record["rows"][0]:
        table.add_column(head.replace("_", " "))
    for row in record["rows"]:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    parser = new_parser("bond_ratios", __doc__)
    parser.add_argument("files", nargs="*", type=Path, help="of frames of one molecule; default: dynamics of peptides")
    parser.add_argument("--temperatures", nargs="+", type=float, default=[300.0, 600.0], help="K, of the dynamics")
    parser.add_argument("--frames", type=int, default=10000, help="of the dynamics, 20 fs apart")
    parser.add_argument("-o", "--output", type=Path, help="write JSON")
    return measure_and_show(parser.parse_args(arguments), benchmark, show)


if __name__ == "__main__":
    sys.exit(main())
