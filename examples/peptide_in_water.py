"""A peptide driven by a model in classical water: mechanical embedding with openmm-ml.

    python examples/peptide_in_water.py
    python examples/peptide_in_water.py --steps 200000 --padding 15 -o solvated    # 100 ps, a box for production

The atoms of the peptide interact through the model; the water (TIP3P) and the interaction of water and peptide are
those of AMBER14. The box is built here. On a GPU OpenMM computes in mixed precision: positions and velocities are
integrated in double precision, classical forces are single precision; the model keeps the precision of its file.
``md-drivers simulate BOX.pdb --ml-atoms protein`` does the same with checkpoints, for a box in a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import openmm
from openmm import app, unit
from openmmml import MLPotential

STRUCTURE = Path(__file__).with_name("alanine_dipeptide.pdb")


def fastest_platform() -> tuple[openmm.Platform, dict[str, str]]:
    """OpenMM's fastest platform here, in mixed precision where it can choose."""
    platforms = [openmm.Platform.getPlatform(k) for k in range(openmm.Platform.getNumPlatforms())]
    platform = max(platforms, key=lambda candidate: candidate.getSpeed())
    return platform, {"Precision": "mixed"} if "Precision" in platform.getPropertyNames() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description="A peptide driven by a model in TIP3P water.")
    parser.add_argument("structure", nargs="?", type=Path, default=STRUCTURE, help="PDB file with hydrogens")
    parser.add_argument("--model", default="peptides", help="pretrained model or exported file")
    parser.add_argument("--padding", type=float, default=10.0, help="water around the peptide, A")
    parser.add_argument("--steps", type=int, default=200, help="of 0.5 fs")
    parser.add_argument("-o", "--output", type=Path, default=Path("peptide_in_water"))
    options = parser.parse_args()

    peptide = app.PDBFile(str(options.structure))
    region = [atom.index for atom in peptide.topology.atoms()]
    forcefield = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
    box = app.Modeller(peptide.topology, peptide.positions)
    box.addSolvent(forcefield, model="tip3p", padding=options.padding * unit.angstrom)
    print(f"{len(region)} atoms of the model among {box.topology.getNumAtoms()}")

    classical = forcefield.createSystem(
        box.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.8 * unit.nanometer, constraints=app.HBonds
    )
    system = MLPotential("mlff", modelPath=options.model).createMixedSystem(box.topology, classical, region)

    integrator = openmm.LangevinMiddleIntegrator(300 * unit.kelvin, 1 / unit.picosecond, 0.5 * unit.femtosecond)
    simulation = app.Simulation(box.topology, system, integrator, *fastest_platform())
    simulation.context.setPositions(box.positions)
    simulation.minimizeEnergy(maxIterations=100)
    simulation.context.setVelocitiesToTemperature(300 * unit.kelvin)

    options.output.mkdir(parents=True, exist_ok=True)
    interval = max(1, options.steps // 20)
    state = {"step": True, "time": True, "potentialEnergy": True, "temperature": True, "speed": True}
    simulation.reporters = [
        app.DCDReporter(str(options.output / "trajectory.dcd"), interval),
        app.StateDataReporter(str(options.output / "state.csv"), interval, **state),
    ]
    with open(options.output / "topology.pdb", "w") as file:
        app.PDBFile.writeFile(box.topology, simulation.context.getState(positions=True).getPositions(), file)
    simulation.step(options.steps)
    energy = simulation.context.getState(energy=True).getPotentialEnergy()
    print(f"potential energy after {options.steps} steps: {energy}; wrote {options.output / 'trajectory.dcd'}")


if __name__ == "__main__":
    main()
