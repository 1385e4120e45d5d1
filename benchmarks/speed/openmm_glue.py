"""Time that an OpenMM step adds to the model.

    python -m benchmarks.speed.openmm_glue -o benchmarks/results/speed_openmm_glue.json

Alanine dipeptide with its nearest waters, all of them the model's (22, 166 and 1000 atoms), moves by a PythonForce on
OpenMM's CPU platform. Every step is timed, and in it the evaluation of the model; what is left is the glue: neighbour
list (searched anew when the skin is used up), units, checks, OpenMM. Target: 5 % of the step, or 1 ms.
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import ase
import numpy as np
import openmm
import torch
from openmm import app, unit
from rich.console import Console
from rich.table import Table

import mlff
from benchmarks.command_line import new_parser, write_record
from benchmarks.speed.models import build
from benchmarks.speed.timing import machine
from md_drivers.openmm.computation import Computation, Settings
from md_drivers.openmm.options import ForceOptions
from md_drivers.openmm.region import read_region
from mlff.potential.artifact import LoadedModel

DIPEPTIDE = Path(__file__).resolve().parents[2] / "examples" / "alanine_dipeptide.pdb"
SIZES = (22, 166, 1000)
TARGET_FRACTION, TARGET_MS = 0.05, 1.0


def cluster(atoms: int) -> tuple[app.Topology, np.ndarray]:
    """The dipeptide with its nearest waters, `atoms` in all; positions in nm."""
    pdb = app.PDBFile(str(DIPEPTIDE))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    forcefield = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
    modeller.addSolvent(forcefield, boxSize=openmm.Vec3(3.0, 3.0, 3.0) * unit.nanometer)
    positions = np.array(modeller.positions.value_in_unit(unit.nanometer))
    centre = positions[:22].mean(axis=0)
    waters = [residue for residue in modeller.topology.residues() if residue.name == "HOH"]
    waters.sort(key=lambda residue: float(np.linalg.norm(positions[next(residue.atoms()).index] - centre)))
    modeller.delete(waters[(atoms - 22) // 3 :])
    modeller.topology.setPeriodicBoxVectors(None)
    return modeller.topology, np.array(modeller.positions.value_in_unit(unit.nanometer))


def measure(model: LoadedModel, atoms: int, *, steps: int, warmup: int, skin: float) -> dict[str, Any]:
    """Milliseconds of steps of 0.5 fs, from 300 K, and of the model within them."""
    topology, positions = cluster(atoms)
    model = copy.copy(model)
    evaluate, inside = model.evaluate, list[float]()

    def timed(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        outputs = evaluate(*arguments, **options)
        inside.append(1e3 * (time.perf_counter() - start))
        return outputs

    model.evaluate = timed  # type: ignore[method-assign]
    region = read_region(topology, None, model)
    compute = Computation(Settings(str(model.path), model.sha256, region, False, ForceOptions(skin=skin)), model)
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    system.addForce(openmm.PythonForce(compute))
    integrator = openmm.VerletIntegrator(0.0005)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300.0, 1)
    integrator.step(warmup)
    inside.clear()
    rebuilds = compute.neighbor_statistics.rebuilds
    whole = []
    for _ in range(steps):
        start = time.perf_counter()
        integrator.step(1)
        whole.append(1e3 * (time.perf_counter() - start))
    glue = [step - part for step, part in zip(whole, inside, strict=True)]
    fraction = mean(glue) / mean(whole)
    return {
        "atoms": atoms,
        "steps": steps,
        "rebuilds": compute.neighbor_statistics.rebuilds - rebuilds,
        "step_ms": median(whole),
        "model_ms": median(inside),
        "glue_ms": median(glue),
        "mean_glue_ms": mean(glue),
        "fraction": fraction,
        "passed": fraction <= TARGET_FRACTION or mean(glue) <= TARGET_MS,
    }


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table(title="A step of OpenMM and the model in it (ms)")
    for heading in ("atoms", "step", "model", "glue", "glue, mean", "of the step", "searches", "target"):
        table.add_column(heading, justify="right")
    for row in rows:
        figures = (f"{row[key]:.2f}" for key in ("step_ms", "model_ms", "glue_ms", "mean_glue_ms"))
        searches = f"{row['rebuilds']} in {row['steps']}"
        table.add_row(
            str(row["atoms"]), *figures, f"{row['fraction']:.1%}", searches, "met" if row["passed"] else "MISSED"
        )
    table.caption = f"medians; target: mean glue at most {TARGET_FRACTION:.0%} of the step or {TARGET_MS:g} ms"
    console.print(table)


def main() -> int:
    parser = new_parser("speed.openmm_glue", __doc__)
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--model", help="name or path; default: random weights, smooth preset, 4 layers")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="22 atoms and multiples of 3 more")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--skin", type=float, default=0.5, help="of the neighbour list, A")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if any(size < 22 or (size - 22) % 3 for size in arguments.sizes):
        parser.error(f"--sizes {arguments.sizes}: a dipeptide of 22 atoms and waters of 3")
    torch.set_num_threads(arguments.threads)
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model is None:
            potential, _ = build("smooth, 4 layers", ase.Atoms("HCNO"), seed=0)
            path = mlff.export(potential, Path(folder) / "model.pt")
        model = mlff.load(arguments.model or path, device=arguments.device)
        counts = {"steps": arguments.steps, "warmup": arguments.warmup}
        rows = [measure(model, size, skin=arguments.skin, **counts) for size in arguments.sizes]
    show(rows, console)
    if arguments.output is not None:
        record = {"machine": machine(), "model": arguments.model or "smooth, 4 layers", "device": arguments.device}
        write_record(arguments.output, {**record, "skin": arguments.skin, "sizes": rows})
        console.print(f"written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
