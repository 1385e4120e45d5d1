"""Energy drift of a shipped checkpoint in constant-energy dynamics.

    python -m benchmarks.physics.nve co2-ni100 --picoseconds 20 -o benchmarks/results/nve_co2-ni100

Velocity Verlet in float64 from a 300 K start on a metal slab with an adsorbate. Writes JSON and a plot of the total
energy per atom. The metric is the least-squares slope; the target is 1e-5 eV/atom/ps over 20 ps.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import add_adsorbate, fcc100, fcc110
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.progress import track

import mlff
from benchmarks.command_line import new_parser, write_record
from benchmarks.speed.timing import machine
from md_drivers import MLFFCalculator

RECORD_EVERY = 20  # steps


def slab(name: str) -> Atoms:
    """A small slab with an adsorbed O (Ni) or H (Cu) atom, of the elements the checkpoint knows."""
    if name == "co2-ni100":
        atoms = fcc100("Ni", (2, 2, 3), a=3.52, vacuum=8.0, periodic=True)
        add_adsorbate(atoms, "O", 0.9, "hollow")
    elif name == "formate-cu110":
        atoms = fcc110("Cu", (2, 2, 3), a=3.6, vacuum=8.0, periodic=True)
        add_adsorbate(atoms, "H", 1.0, "shortbridge")
    else:
        raise SystemExit(f"no start structure for {name!r}; known: co2-ni100, formate-cu110")
    return atoms


def run(name: str, picoseconds: float, time_step: float, temperature: float, seed: int) -> dict[str, object]:
    """Integrate and return the record, energies in eV/atom, times in ps."""
    atoms = slab(name)
    atoms.calc = MLFFCalculator(name, dtype="float64")
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(seed))
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, time_step * units.fs)
    times, total, kinetic = [], [], []
    blocks = round(1000.0 * picoseconds / time_step / RECORD_EVERY)
    start = time.perf_counter()
    for _ in track(range(blocks), description=f"{name}, {picoseconds} ps"):
        dynamics.run(RECORD_EVERY)
        times.append(dynamics.get_time() / (1000.0 * units.fs))
        total.append(atoms.get_total_energy() / len(atoms))
        kinetic.append(atoms.get_kinetic_energy() / len(atoms))
    neighbors = atoms.calc.neighbor_statistics
    return {
        "checkpoint": name,
        "sha256": mlff.load(name, verify=False).sha256,
        "atoms": len(atoms),
        "picoseconds": picoseconds,
        "time_step_fs": time_step,
        "start_temperature_K": temperature,
        "mean_temperature_K": float(np.mean(kinetic) / (1.5 * units.kB)),
        "seed": seed,
        "slope_eV_per_atom_per_ps": float(np.polyfit(times, total, 1)[0]),
        "std_total_eV_per_atom": float(np.std(total)),
        "std_kinetic_eV_per_atom": float(np.std(kinetic)),
        "neighbor_queries": neighbors.queries,
        "neighbor_rebuilds": neighbors.rebuilds,
        "seconds": time.perf_counter() - start,
        "machine": machine(),
        "series": {"time_ps": times, "total_eV_per_atom": total},
    }


def plot(record: dict[str, object], path: Path) -> None:
    """Total energy per atom against time."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    series = record["series"]
    energy = np.array(series["total_eV_per_atom"])
    axes.plot(series["time_ps"], 1e6 * (energy - energy.mean()), linewidth=0.6)
    axes.set(xlabel="time / ps", ylabel="total energy − mean / µeV per atom")
    axes.set_title(f"{record['checkpoint']}: slope {record['slope_eV_per_atom_per_ps']:.1e} eV/atom/ps", fontsize=10)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Command line."""
    parser = new_parser("physics.nve", __doc__)
    parser.add_argument("name", help="shipped checkpoint")
    parser.add_argument("--picoseconds", type=float, default=20.0)
    parser.add_argument("--time-step", type=float, default=0.5, help="fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="K, of the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="output without suffix (.json, .png)")
    arguments = parser.parse_args()
    record = run(arguments.name, arguments.picoseconds, arguments.time_step, arguments.temperature, arguments.seed)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    plot(record, arguments.output.with_suffix(".png"))
    record.pop("series")
    write_record(arguments.output.with_suffix(".json"), record)
    print(f"slope {record['slope_eV_per_atom_per_ps']:.2e} eV/atom/ps over {arguments.picoseconds} ps")


if __name__ == "__main__":
    main()
