"""Energies of generated frames in their nearest minima, beside those of frames of molecular dynamics.

    python -m benchmarks.minimised_energy ala2_md rollout -o minimised.json

Thermal energies of heavy atoms alone mean nothing, but the minimum nearest to a frame tells whether an engine can take
it over: hydrogens are put on, AMBER14 relaxes all atoms, and what is left of the energy is that of the conformation, or
of a strain that cannot relax. Both kinds of frames are treated in the same way; of dynamics with splits, frames of test
trajectories are taken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import mdtraj
import numpy as np
from ase import units
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.command_line import complain, new_parser, write_record
from benchmarks.jump_molecule import Molecule, minimised, read_molecule
from benchmarks.speed.timing import machine
from md_drivers.jumps.hydrogens import RidingHydrogens
from mlff.analysis import Ensemble, read_reference, read_trajectories
from mlff.analysis.ensemble import in_order_of
from mlff.sampling.building import Solvent, force_field
from mlff.sampling.trajectories import GenerationConfig
from mlff.support.files import write_figure
from mlff.support.versions import installed_versions

Array = NDArray[np.float64]

_ANGSTROM_PER_NM = 10.0
_KJ_PER_MOL = units.kJ / units.mol  # eV
_TOLERANCE, _MOST_ITERATIONS = 1.0, 2000  # kJ/mol/nm
_QUANTILES = (0.5, 0.95, 0.99)
_SAME = 1e-3  # kT per atom; minimisations that end in the same minimum differ by less


class Minimiser:
    """Energies in the nearest minima of frames of heavy atoms.

    Args:
        molecule: with hydrogens, in a minimum.
        config: its solvent is that of the force field.
    """

    def __init__(self, molecule: Molecule, config: GenerationConfig) -> None:
        import openmm
        from openmm.app import NoCutoff

        peptide = molecule.peptide
        system = force_field(config.solvent).createSystem(peptide.topology, nonbondedMethod=NoCutoff)
        platform = openmm.Platform.getPlatformByName("CPU")
        self._context = openmm.Context(system, openmm.VerletIntegrator(1e-3), platform, {"Threads": "1"})
        self._heavy = molecule.heavy
        self._light = np.setdiff1d(np.arange(len(peptide.positions)), molecule.heavy)
        self._old = peptide.positions[self._heavy], peptide.positions[self._light]
        self._riding = RidingHydrogens(molecule.layout, *self._old)
        self._kt = units.kB * config.temperature

    @property
    def atoms(self) -> int:
        """With hydrogens."""
        return len(self._heavy) + len(self._light)

    def __call__(self, frame: Array) -> float:
        """kT, of a frame [M,3] in Å; nan where it cannot be minimised."""
        from openmm import LocalEnergyMinimizer, OpenMMException

        positions = np.empty((self.atoms, 3))
        positions[self._heavy] = frame
        positions[self._light] = self._riding.place(*self._old, frame)
        if not np.isfinite(positions).all():
            return float("nan")
        try:
            self._context.setPositions(positions / _ANGSTROM_PER_NM)
            LocalEnergyMinimizer.minimize(self._context, _TOLERANCE, _MOST_ITERATIONS)
            energy = self._context.getState(getEnergy=True).getPotentialEnergy()._value
        except OpenMMException:
            return float("nan")
        return float(energy) * _KJ_PER_MOL / self._kt


def heavy_atoms(molecule: Molecule) -> mdtraj.Trajectory:
    """One frame of heavy atoms, in the order that :class:`Minimiser` takes them in."""
    positions = molecule.peptide.positions[molecule.heavy] / _ANGSTROM_PER_NM
    return mdtraj.Trajectory(positions[None], molecule.layout.topology)


def chosen(ensemble: Ensemble, count: int, rng: np.random.Generator) -> Array:
    """[count,M,3] in Å, frames at random."""
    every = np.concatenate(list(ensemble.positions()))
    return np.asarray(every[rng.choice(len(every), min(count, len(every)), replace=False)], dtype=np.float64)


def compared(reference: Array, generated: Array) -> dict[str, Any]:
    """Figures of energies in kT per atom, relative to the mean of the reference.

    ``beyond`` is the share of generated frames clearly above the 99 % quantile of the reference, 0.01 where both are
    alike and smooth, and less where the quantile is one of a few minima; a frame that cannot be minimised is above
    everything.

    Raises:
        ValueError: fewer than two frames of either can be minimised.
    """
    known = {"reference": reference[np.isfinite(reference)], "generated": generated[np.isfinite(generated)]}
    found: dict[str, Any] = {}
    for (name, finite), energies in zip(known.items(), (reference, generated), strict=True):
        if len(finite) < 2:
            raise ValueError(f"{name}: {len(finite)} of {len(energies)} frames can be minimised; two are needed")
        above = finite - known["reference"].mean()
        found[name] = {
            "frames": len(energies),
            "failed": len(energies) - len(finite),
            "mean": float(above.mean()),
            "standard_deviation": float(above.std(ddof=1)),
            "quantiles": {f"{q:g}": float(np.quantile(above, q)) for q in _QUANTILES},
            "max": float(above.max()),
        }
    first, second = (np.where(np.isfinite(energies), energies, np.inf) for energies in (reference, generated))
    found["beyond"] = float(np.mean(second > np.quantile(first, 0.99, method="higher") + _SAME))
    return found


def benchmark(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The whole record; also draws the plot.

    Raises:
        ValueError: an input that cannot be used.
    """
    if options.frames < 2:
        raise ValueError(f"--frames must be at least 2, got {options.frames}")
    if options.output.suffix != ".json" or not options.output.parent.is_dir():
        raise ValueError(f"{options.output}: -o must be a .json file in a folder that exists")
    made = read_trajectories(options.generated, None, "generated")
    md = read_reference(options.reference, None, made)
    config = GenerationConfig(temperature=options.temperature, solvent=options.solvent)
    molecule = minimised(read_molecule(options.generated / "topology.pdb"), config)
    atoms = Ensemble.of("the molecule", [heavy_atoms(molecule)], 1.0)
    made, md = in_order_of(atoms, made), in_order_of(atoms, md.part("test") or md)
    minimiser, rng = Minimiser(molecule, config), np.random.default_rng(options.seed)
    sets = {"reference": chosen(md, options.frames, rng), "generated": chosen(made, options.frames, rng)}
    energies = {}
    with Progress(console=console) as progress:
        for name, frames in sets.items():
            task = progress.track(frames, description=name)
            energies[name] = np.array([minimiser(frame) for frame in task]) / minimiser.atoms
    found = compared(energies["reference"], energies["generated"])
    draw(energies, options.output.with_suffix(".png"))
    return {
        "machine": machine(),
        "versions": installed_versions(["mlff-equijump", "openmm", "mdtraj"]),
        "molecule": molecule.residues,
        "atoms": minimiser.atoms,
        "unit": "kT per atom",
        "temperature_K": config.temperature,
        "solvent": config.solvent,
        "seed": options.seed,
        **found,
    }


def draw(energies: dict[str, Array], path: Path) -> None:
    """Both distributions, up to where nearly all energies of the reference are; what is beyond is in the last bin."""
    zero = np.nanmean(energies["reference"])
    low, high = np.nanquantile(energies["reference"] - zero, [0.0, 0.999])
    edges = np.linspace(low, high + 0.3 * (high - low), 60)
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for (name, values), color in zip(energies.items(), ("0.6", "C0"), strict=True):
        known = np.clip(values[np.isfinite(values)] - zero, edges[0], edges[-1])
        axis.hist(known, edges, density=True, histtype="step", lw=1.5, color=color, label=name)
    axis.set_xlabel("minimised energy above the mean of the reference (kT per atom)")
    axis.set_ylabel("density")
    axis.legend()
    write_figure(path, figure)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = new_parser("minimised_energy", __doc__)
    add = parser.add_argument
    add("reference", type=Path, metavar="REFERENCE", help="molecular dynamics, as for equijump analyze")
    add("generated", type=Path, metavar="GENERATED", help="folder of a rollout")
    add("-o", "--output", type=Path, required=True, metavar="JSON", help="beside it, a PNG with its name")
    add("--frames", type=int, default=1000, help="of each (%(default)s)")
    add("--temperature", type=float, default=300.0, help="K, of kT (%(default)s)")
    add("--solvent", choices=get_args(Solvent), default="gbn2", help="of the force field (%(default)s)")
    add("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 wrong input."""
    options, console = options_of(arguments), Console(stderr=True)
    try:
        record = benchmark(options, console)
        write_record(options.output, record)
    except (ValueError, OSError, ImportError) as error:
        return complain(error)
    table = Table("kT per atom", "mean", "standard deviation", *(f"{100 * q:g} %" for q in _QUANTILES), "max", "failed")
    for name in ("reference", "generated"):
        row = record[name]
        numbers = (row["mean"], row["standard_deviation"], *row["quantiles"].values(), row["max"])
        table.add_row(name, *(f"{number:.3f}" for number in numbers), str(row["failed"]))
    Console().print(table)
    Console().print(f"{record['beyond']:.2%} of the generated frames are above the 99 % quantile of the reference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
