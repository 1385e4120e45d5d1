"""Files that the Python of a page in docs/ takes for granted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write


def write_labelled_frames(path: Path, count: int) -> None:
    """Rattled cells of a Cu, O, C and H with EMT energies and forces."""
    frames = [bulk("Cu", cubic=True) for _ in range(count)]
    rng = np.random.default_rng(0)
    for atoms in frames:
        atoms.symbols = "CuOCH"
        atoms.rattle(0.1, rng=rng)
        atoms.calc = EMT()
        atoms.get_forces()
    write(path, frames)


def _pairs(folder: Path) -> None:
    from support.trajectory_files import write_system

    write_system(folder / "ala2", name="system", interval=10.0).rename(folder / "ala2" / "system.json")


def _ensembles(folder: Path) -> None:
    from support.jumping_dipeptide import jumping_trajectories
    from support.peptide_structures import heavy_trajectory

    dipeptide = heavy_trajectory("A")
    dipeptide.save_pdb(str(folder / "topology.pdb"))
    md, generated = jumping_trajectories(dipeptide, 2, 4000, (0.02, 0.01), seed=0)
    md.save_xtc(str(folder / "md.xtc"))
    generated[::10].save_xtc(str(folder / "generated.xtc"))


def _public_checkpoints(folder: Path) -> None:
    from support.public_checkpoints import content, option_cases, published, save, with_dens

    save(content(option_cases()["gate with grid MLP"]), folder / "eq2_31M_ec4_allmd.pt")
    save(with_dens(published("eqv2_dens_l4m2")), folder / "eqv2_dens.pt")


#: By name of the page.
WRITERS = {"equijump.md": _pairs, "equijump_analysis.md": _ensembles, "import.md": _public_checkpoints}
