"""Minimise the mini-protein CLN025 (166 atoms) with a model as OpenMM's only force.

    python examples/minimize_cln025.py
    python examples/minimize_cln025.py --iterations 0 --tolerance 1    # to the end, largest forces below 0.05 eV/A

The start, ``cln025.pdb``, is a frame of a simulation in implicit water made for this project (see its remarks).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import openmm
from ase import units
from openmm import app, unit

from md_drivers import openmm_force

STRUCTURE = Path(__file__).with_name("cln025.pdb")
EV = units.kJ / units.mol  # one kJ/mol


def report(context: openmm.Context, when: str) -> np.ndarray:
    """Print energy and largest force; positions in A."""
    state = context.getState(energy=True, forces=True, positions=True)
    energy = EV * state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    forces = EV * state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.angstrom)
    print(f"{when:>6}: energy {energy:.3f} eV, largest force {np.linalg.norm(forces, axis=1).max():.3f} eV/Å")
    return np.array(state.getPositions(asNumpy=True).value_in_unit(unit.angstrom))


def main() -> None:
    parser = argparse.ArgumentParser(description="Minimise CLN025 with a model.")
    parser.add_argument("--model", default="peptides", help="pretrained model or exported file")
    parser.add_argument("--iterations", type=int, default=50, help="at most; 0: no limit")
    parser.add_argument("--tolerance", type=float, default=10.0, help="root mean square force, kJ/mol/nm")
    parser.add_argument("-o", "--output", type=Path, default=Path("cln025_minimized.pdb"))
    options = parser.parse_args()

    protein = app.PDBFile(str(STRUCTURE))
    system = openmm.System()
    for atom in protein.topology.atoms():
        system.addParticle(atom.element.mass)
    # Its charge is -2, of Asp and Glu; the peptides that the model was trained on have one charge at most, and no free
    # ends. Energies and forces near these are not to be trusted.
    system.addForce(openmm_force(options.model, protein.topology, parameter=None, ignore=("charge",)))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.0005), platform)
    context.setPositions(protein.positions)

    before = report(context, "before")
    openmm.LocalEnergyMinimizer.minimize(context, options.tolerance, options.iterations)
    after = report(context, "after")
    moved = np.linalg.norm(after - before, axis=1)
    print(f"atoms moved by {np.sqrt(np.mean(moved**2)):.3f} Å (root mean square), at most {moved.max():.3f} Å")
    with open(options.output, "w") as file:
        app.PDBFile.writeFile(protein.topology, after * unit.angstrom, file, keepIds=True)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
