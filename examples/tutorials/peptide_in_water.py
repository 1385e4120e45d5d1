"""A peptide driven by a pretrained model in classical water, with OpenMM.

    python examples/tutorials/peptide_in_water.py

Writes into the current folder. TUTORIAL_LENGTH=0.1 takes a tenth of the steps.
"""

import os

import matplotlib.pyplot as plt
import mdtraj
import numpy as np
import openmm
from matplotlib.ticker import MaxNLocator
from openmm import app, unit

from md_drivers import SimulationSettings, simulate
from mlff.sampling.peptides import capped_peptide

LENGTH = float(os.environ.get("TUTORIAL_LENGTH", "1"))

# Alanine dipeptide near the helix, in a box of TIP3P water.
peptide = capped_peptide("A", dihedrals=[(-75.0, -20.0)])
box = app.Modeller(peptide.topology, peptide.positions * unit.angstrom)
forcefield = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
box.addSolvent(forcefield, padding=0.9 * unit.nanometer)

# The force field alone takes new water to a minimum in a second.
classical = forcefield.createSystem(box.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.8 * unit.nanometer)
simulation = app.Simulation(box.topology, classical, openmm.VerletIntegrator(1.0 * unit.femtosecond))
simulation.context.setPositions(box.positions)
simulation.minimizeEnergy(maxIterations=200)
minimum = simulation.context.getState(positions=True).getPositions()
with open("box.pdb", "w") as file:
    app.PDBFile.writeFile(box.topology, minimum, file)
print(f"{peptide.topology.getNumAtoms()} atoms of the peptide, {box.topology.getNumAtoms()} in the box")

# The model drives the peptide, AMBER14 and TIP3P the rest and what passes between them. 1 fs, NVT.
settings = SimulationSettings(
    ensemble="nvt",
    time_step=1.0,
    friction=10.0,
    ml_atoms="protein",
    report_interval=10,
    minimize=False,
    trajectory_format="xtc",
)
result = simulate("box.pdb", "peptides", "dynamics", steps=int(1000 * LENGTH), settings=settings)
print(f"{result.time:g} ps at {result.temperature:.0f} K, broken bonds: {len(result.broken_bonds)}")

# Water at the peptide: oxygens of water within 3.5 Å of each of its N and O atoms.
trajectory = mdtraj.load("dynamics/trajectory.xtc", top="dynamics/topology.pdb")
polar = trajectory.topology.select("protein and (element N or element O)")
water = trajectory.topology.select("water and element O")
time = settings.report_interval * settings.time_step * 1e-3 * np.arange(1, len(trajectory) + 1)  # ps
figure, axes = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
for atom in polar:
    pairs = np.array([[atom, other] for other in water])
    near = (mdtraj.compute_distances(trajectory, pairs) < 0.35).sum(axis=1)
    name = trajectory.topology.atom(atom)
    axes.plot(time, near, label=str(name), drawstyle="steps-mid")
    print(f"{name!s:8}  {near.mean():.2f} waters within 3.5 Å")
axes.set(xlabel="time (ps)", ylabel="water oxygens within 3.5 Å", ylim=(-0.2, None))
axes.yaxis.set_major_locator(MaxNLocator(integer=True))
figure.legend(loc="outside upper center", ncols=4)
figure.savefig("waters.png", dpi=130)
