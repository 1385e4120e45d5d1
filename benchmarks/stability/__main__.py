"""Peptides in vacuum for as long as it takes to see drifts and broken bonds.

    python -m benchmarks.stability --model peptides -o benchmarks/results/stability_peptides.json

Constant energy: alanine dipeptide, equilibrated for 2 ps, then 20 ps of leapfrog Verlet at 0.5 fs in float64. Targets:
slope of the total energy at most 1e-5 eV/atom/ps, its spread at most 5 % of that of the kinetic energy. Constant
temperature: ACE-X-NME of three held-out residues (ILE, THR, GLU), minimised, 100 ps of Langevin dynamics at 300 K,
1 fs. Targets: no broken bond in any frame (every 0.1 ps), mean temperature within four standard errors.

The simulations stay in --work; the same command goes on with those that were stopped and skips those that are done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import units
from openmm import app, unit
from rich.console import Console
from rich.table import Table

from benchmarks.command_line import new_parser, write_record
from benchmarks.speed.timing import machine
from md_drivers import SimulationFailed, SimulationResult, SimulationSettings, simulate
from md_drivers.common.trajectory_files import read_frames, read_table
from md_drivers.openmm.simulation.progress import SimulationReporter
from mlff.sampling.peptides import capped_peptide

DIPEPTIDE = Path(__file__).resolve().parents[2] / "examples" / "alanine_dipeptide.pdb"
TEMPERATURE, INTERVAL = 300.0, 100  # K, steps between frames
NVE_STEP, NVT_STEP = 0.5, 1.0  # fs
APART = 300.0  # Å between peptides at the start; they diffuse by some 30 Å
SLOPE_TARGET, SPREAD_TARGET, ERRORS_TARGET = 1e-5, 0.05, 4.0


def steps(picoseconds: float, time_step: float) -> int:
    """Of so many fs; at least three frames."""
    return max(3 * INTERVAL, round(1e3 * picoseconds / time_step))


def simulated(structure: Path, model: str, folder: Path, count: int, settings: SimulationSettings) -> SimulationResult:
    """A simulation, from its checkpoint if it was begun before."""
    Console(stderr=True).print(f"{folder}: {count} steps", highlight=False)
    with SimulationReporter(steps=count, console=Console(stderr=True)) as reporter:
        return simulate(
            structure,
            model,
            folder,
            steps=count,
            settings=settings,
            resume=(folder / "simulation.json").exists(),
            on_progress=reporter,
        )


def write_pdb(path: Path, topology: app.Topology, positions: np.ndarray) -> Path:
    """Positions in A."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.angstrom, file, keepIds=True)
    return path


def constant_energy(model: str, work: Path, equilibration: float, picoseconds: float) -> dict[str, Any]:
    """Drift of alanine dipeptide, energies in eV/atom."""
    begin = simulated(
        DIPEPTIDE,
        model,
        work / "equilibration",
        steps(equilibration, NVE_STEP),
        SimulationSettings(temperature=TEMPERATURE, time_step=NVE_STEP, friction=5.0, report_interval=INTERVAL),
    )
    topology = app.PDBFile(str(DIPEPTIDE)).topology
    start = work / "equilibrated.pdb"
    if not start.exists():
        *_, frames = read_frames(begin.folder / "trajectory.dcd", topology.getNumAtoms())
        write_pdb(start, topology, frames[-1])
    settings = SimulationSettings(
        ensemble="nve",
        temperature=TEMPERATURE,
        time_step=NVE_STEP,
        report_interval=INTERVAL // 5,
        minimize=False,
        dtype="float64",
    )
    result = simulated(start, model, work / "nve", steps(picoseconds, NVE_STEP), settings)
    table, atoms = read_table(result.folder / "state.csv"), topology.getNumAtoms()
    total, kinetic = table["total_eV"] / atoms, table["kinetic_eV"] / atoms
    slope, spread = float(np.polyfit(table["time_ps"], total, 1)[0]), float(np.std(total) / np.std(kinetic))
    return {
        "system": "ACE-ALA-NME",
        "picoseconds": result.time,
        "time_step_fs": NVE_STEP,
        "mean_temperature_K": result.temperature,
        "slope_eV_per_atom_per_ps": slope,
        "std_total_eV_per_atom": float(np.std(total)),
        "std_kinetic_eV_per_atom": float(np.std(kinetic)),
        "ns_per_day": result.speed,
        "broken_bonds": result.broken_bonds,
        "passed": abs(slope) <= SLOPE_TARGET and spread <= SPREAD_TARGET and not result.broken_bonds,
    }


def _nvt_folder(residues: list[str]) -> str:
    return f"nvt_{''.join(residues)}"


def constant_temperature(model: str, work: Path, residues: list[str], picoseconds: float) -> dict[str, Any]:
    """Whether capped residues stay whole, and at their temperature.

    They move side by side in one system, too far apart to meet: for molecules so small most of a step is overhead.
    """
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    for number, residue in enumerate(residues):
        peptide = capped_peptide(residue)
        place = np.array([number * APART, 0.0, 0.0])
        modeller.add(peptide.topology, (peptide.positions + place) * unit.angstrom)
    positions = np.array(modeller.positions.value_in_unit(unit.angstrom))
    start = work / f"{''.join(residues)}.pdb"
    if not start.exists():
        write_pdb(start, modeller.topology, positions)
    settings = SimulationSettings(temperature=TEMPERATURE, time_step=NVT_STEP, report_interval=INTERVAL)
    names = ["-".join(residue.name for residue in chain.residues()) for chain in modeller.topology.chains()]
    record: dict[str, Any] = {"systems": names, "time_step_fs": NVT_STEP}
    try:
        result = simulated(start, model, work / _nvt_folder(residues), steps(picoseconds, NVT_STEP), settings)
    except SimulationFailed as failure:
        return {**record, "passed": False, "failure": str(failure)}
    degrees = 3 * len(positions) - 3
    # Twice the correlation time of the kinetic energy, which is 1/(2 friction), counts as one sample.
    independent = max(1.0, result.time * settings.friction)
    error = (result.temperature - TEMPERATURE) / (TEMPERATURE * np.sqrt(2.0 / degrees / independent))
    table = read_table(result.folder / "state.csv")
    fluctuation = np.var(2.0 * table["kinetic_eV"] / (units.kB * TEMPERATURE)) / (2.0 * degrees)
    return {
        **record,
        "picoseconds": result.time,
        "frames": len(table["step"]),
        "mean_temperature_K": result.temperature,
        "standard_errors_from_target": float(error),
        "variance_of_kinetic_energy_over_chi_square": float(fluctuation),
        "broken_bonds": result.broken_bonds,
        "ns_per_day": result.speed,
        "passed": not result.broken_bonds and abs(float(error)) <= ERRORS_TARGET,
    }


def show(record: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    if "nve" in record:
        row = record["nve"]
        table = Table(title="Constant energy")
        for heading in ("system", "ps", "T (K)", "slope (eV/atom/ps)", "spread, total / kinetic (eV/atom)", "target"):
            table.add_column(heading, justify="right")
        spread = f"{row['std_total_eV_per_atom']:.1e} / {row['std_kinetic_eV_per_atom']:.1e}"
        figures = (
            f"{row['picoseconds']:g}",
            f"{row['mean_temperature_K']:.1f}",
            f"{row['slope_eV_per_atom_per_ps']:.1e}",
        )
        table.add_row(row["system"], *figures, spread, _verdict(row))
        console.print(table)
    if "nvt" in record:
        row = record["nvt"]
        table = Table(title=f"Constant temperature, {TEMPERATURE:g} K")
        for heading in ("systems", "ps", "T (K)", "standard errors off", "broken bonds", "ns/day", "target"):
            table.add_column(heading, justify="right")
        systems = "\n".join(row["systems"])
        if "failure" in row:
            table.add_row(systems, "", "", "", "", "", "FAILED")
        else:
            table.add_row(
                systems,
                f"{row['picoseconds']:g}",
                f"{row['mean_temperature_K']:.1f}",
                f"{row['standard_errors_from_target']:+.1f}",
                str(len(row["broken_bonds"])),
                f"{row['ns_per_day']:.2g}",
                _verdict(row),
            )
        console.print(table)


def _verdict(row: dict[str, Any]) -> str:
    return "met" if row["passed"] else "MISSED"


def main(arguments: list[str] | None = None) -> int:
    parser = new_parser("stability", __doc__)
    parser.add_argument("--model", default="peptides", help="name or path")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--only", choices=["nve", "nvt"], help="one of the two parts")
    parser.add_argument("--equilibration", type=float, default=2.0, help="ps before --nve")
    parser.add_argument("--nve", type=float, default=20.0, help="ps at constant energy")
    parser.add_argument("--nvt", type=float, default=100.0, help="ps at constant temperature")
    parser.add_argument("--residues", nargs="+", default=["I", "T", "E"], help="one-letter codes")
    parser.add_argument("--work", type=Path, default=Path("runs/stability"), help="folder of the simulations")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    record: dict[str, Any] = {"model": options.model}
    if options.only != "nvt":
        record["nve"] = constant_energy(options.model, options.work, options.equilibration, options.nve)
    if options.only != "nve":
        record["nvt"] = constant_temperature(options.model, options.work, options.residues, options.nvt)
    last = options.work / ("nve" if "nve" in record else _nvt_folder(options.residues)) / "simulation.json"
    record["sha256"] = json.loads(last.read_text(encoding="utf-8"))["settings"]["model_sha256"]
    console = Console()
    show(record, console)
    if options.output is not None:
        write_record(options.output, {**record, "machine": machine()})
        console.print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
