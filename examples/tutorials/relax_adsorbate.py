"""Relax formate on Cu(110) with a pretrained model, and read the result.

    python examples/tutorials/relax_adsorbate.py

Writes into the current folder. TUTORIAL_LENGTH=0.1 takes a tenth of the steps.
"""

import os

from ase import Atoms
from ase.build import fcc110
from ase.io import read

from md_drivers import relax

LENGTH = float(os.environ.get("TUTORIAL_LENGTH", "1"))

# The slab of the training data: Cu(110), four layers of 3 x 4 atoms, 30 Å high.
slab = fcc110("Cu", (3, 4, 4), a=3.546)
slab.cell[2] = [0.0, 0.0, 30.0]
slab.pbc = True

# Formate above two neighbours of a close-packed row, turned by 20° and tilted by 15°.
formate = Atoms("COOH", [[0.0, 0.0, 0.58], [0.0, -1.13, 0.0], [0.0, 1.13, 0.0], [0.0, 0.0, 1.68]])
formate.rotate(20.0, "z")
formate.rotate(15.0, "y")
spacing = 3.546 / 2**0.5  # of atoms in the row, along y
x, y, z = slab.positions[slab.get_tags() == 1][0]
formate.translate([x + 3.546, y + 1.5 * spacing, z + 2.1])
start = slab + formate

# Both lower layers stay where they are; BFGS until no force exceeds 0.03 eV/Å.
(result,) = relax(
    {"formate": start},
    "formate-cu110",
    fix="layers:2",
    optimizer="BFGS",
    fmax=0.03,
    steps=int(200 * LENGTH),
    output="relaxed",
)
print(f"{'converged' if result.converged else 'not converged'} after {result.steps} steps")
print(f"energy {result.energies[0]:.3f} -> {result.energy:.3f} eV, largest force {result.fmax:.3f} eV/Å")

# What happened to the molecule: the trajectory has every step.
carbon, first, second = 48, 49, 50
print("step  Cu-O (Å)      C-O (Å)       O-C-O (°)")
frames = read("relaxed/formate/trajectory.traj", ":")
for step in sorted({0, len(frames) // 4, len(frames) // 2, len(frames) - 1}):
    atoms = frames[step]
    copper = [atoms.get_distances(oxygen, range(48), mic=True).min() for oxygen in (first, second)]
    bonds = [atoms.get_distance(carbon, oxygen) for oxygen in (first, second)]
    angle = atoms.get_angle(first, carbon, second)
    print(f"{step:4d}  {copper[0]:.2f}  {copper[1]:.2f}    {bonds[0]:.3f}  {bonds[1]:.3f}   {angle:.1f}")
print(f"figure: {result.figure}")
