"""Forces along bonds that are stretched and compressed, of models beside GFN2-xTB.

    python -m benchmarks.physics.bonds peptides peptides-spice -o benchmarks/results/bonds

How a model goes on beyond the bond lengths of its training data decides whether hot molecules keep together. One bond
of every kind (elements and length to 0.1 Å) is changed rigidly: the smaller side of the molecule moves along the bond.
The force is minus the derivative of the energy by the length, negative where the bond pulls.
Writes JSON and a plot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import mlff
from benchmarks.command_line import complain, new_parser, write_record
from benchmarks.speed.timing import machine
from md_drivers import MLFFCalculator
from mlff.sampling.peptides.labels import METHOD, label
from mlff.support.files import write_figure
from mlff.support.versions import installed_versions

Array = NDArray[np.float64]
Forces = Callable[[Atoms], Array]

DEVIATION = 1.0  # eV/Å; a model follows its reference as far as it is closer than this


class Bond(NamedTuple):
    """A bond: a name, its two atoms, its length (Å), and the atoms that move with the second one."""

    name: str
    atoms: tuple[int, int]
    length: float
    side: NDArray[np.int64]


def bonds_of(atoms: Atoms) -> list[Bond]:
    """The first bond of every kind, without those of rings, which have no two sides.

    Atoms are bonded closer than 1.15 times the sum of their covalent radii.
    """
    first, second, lengths = neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=1.15))
    found: dict[str, Bond] = {}
    for i, j, length in zip(first, second, lengths, strict=True):
        name = f"{'–'.join(sorted(atoms.symbols[[i, j]]))} {length:.1f} Å"
        if name in found:
            continue
        others = ~(((first == i) & (second == j)) | ((first == j) & (second == i)))
        graph = coo_array((np.ones(others.sum()), (first[others], second[others])), shape=2 * (len(atoms),))
        parts = connected_components(graph, directed=False)[1]
        side = np.flatnonzero(parts == parts[j])
        if parts[i] != parts[j] and 2 * len(side) <= len(atoms):
            found[name] = Bond(name, (int(i), int(j)), float(length), side)
    return list(found.values())


def forces_along(atoms: Atoms, bond: Bond, stretches: Sequence[float], forces: Forces) -> list[float]:
    """Forces (eV/Å) along a bond at its length plus ``stretches`` (Å)."""
    i, j = bond.atoms
    axis = (atoms.positions[j] - atoms.positions[i]) / bond.length
    found = []
    for stretch in stretches:
        changed = atoms.copy()
        changed.positions[bond.side] += stretch * axis
        found.append(float(forces(changed)[bond.side].sum(axis=0) @ axis))
    return found


def follows_to(stretches: Sequence[float], found: Sequence[float], reference: Sequence[float]) -> float:
    """The stretch (Å) up to which all forces, from the bond as it is, are within ``DEVIATION`` of the reference."""
    last = 0.0
    for stretch, here, there in zip(stretches, found, reference, strict=True):
        if stretch >= 0.0:
            if abs(here - there) > DEVIATION:
                break
            last = stretch
    return last


def measure(models: Sequence[str], structure: Path, charge: int, stretches: Sequence[float]) -> dict[str, Any]:
    """The record: for every bond, forces of every model and of the reference, and how far each model follows.

    Raises:
        ValueError: no bond can be stretched, a model does not know the elements, or tblite is missing.
        OSError: a file cannot be read.
    """
    atoms = ase.io.read(structure)
    atoms.set_constraint()
    bonds = bonds_of(atoms)
    if not bonds:
        raise ValueError(f"{structure}: no bond outside of a ring; give a molecule that has one")

    def of_reference(changed: Atoms) -> Array:
        return label(changed.numbers, changed.positions, charge).forces

    methods: dict[str, Forces] = {METHOD: of_reference}
    methods |= {name: MLFFCalculator(name, dtype="float64").get_forces for name in models}
    rows = []
    for bond in bonds:
        found = {name: forces_along(atoms, bond, stretches, forces) for name, forces in methods.items()}
        follows = {name: follows_to(stretches, found[name], found[METHOD]) for name in models}
        print(f"{bond.name}: " + ", ".join(f"{name} follows to +{reach:.2f} Å" for name, reach in follows.items()))
        rows.append({"bond": bond.name, "atoms": bond.atoms, "forces": found, "follows_to": follows})
    return {
        "structure": structure.name,
        "charge": charge,
        "models": {name: mlff.load(name, verify=False).sha256 for name in models},
        "reference": METHOD,
        "units": {"stretch": "Å", "forces": "eV/Å", "follows_to": f"Å, within {DEVIATION} eV/Å"},
        "stretches": list(stretches),
        "bonds": rows,
        "machine": machine(),
        "versions": installed_versions(["mlff-equijump", "torch", "tblite", "ase"]),
    }


def plot(record: Mapping[str, Any], path: Path) -> None:
    """A panel for every bond."""
    columns = min(4, len(record["bonds"]))
    lines = -(-len(record["bonds"]) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.7 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True)
    for row, axes in zip(record["bonds"], panels.flat, strict=False):
        for name, forces in row["forces"].items():
            style = {"color": "black", "linestyle": "--"} if name == record["reference"] else {}
            axes.plot(record["stretches"], forces, label=name, **style)
        reference = row["forces"][record["reference"]]
        room = 0.15 * (max(reference) - min(reference))
        axes.set_ylim(min(reference) - room, max(reference) + room)
        axes.set_title(row["bond"], fontsize=10)
        axes.grid(alpha=0.3)
    for axes in panels.flat[len(record["bonds"]) :]:
        axes.set_axis_off()
    panels.flat[0].legend(fontsize=8)
    figure.supxlabel("change of the bond length (Å)", fontsize=10)
    figure.supylabel("force along the bond (eV/Å)", fontsize=10)
    write_figure(path, figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit status: 0 done, 2 wrong input."""
    parser = new_parser("physics.bonds", __doc__)
    parser.add_argument("models", nargs="+", help="names or files of exported potentials")
    parser.add_argument("--structure", type=Path, default=Path("examples/alanine_dipeptide.pdb"), help="a molecule")
    parser.add_argument("--charge", type=int, default=0, help="of the molecule, e")
    parser.add_argument("-o", "--output", type=Path, required=True, help="output without suffix (.json, .png)")
    options = parser.parse_args(argv)
    stretches = np.round(np.arange(-0.2, 0.601, 0.05), 2).tolist()
    try:
        record = measure(options.models, options.structure, options.charge, stretches)
        write_record(options.output.with_suffix(".json"), record)
        plot(record, options.output.with_suffix(".png"))
    except (ValueError, OSError) as error:
        return complain(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
