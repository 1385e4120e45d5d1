"""The structures that are timed; all made here or kept in ``benchmarks/structures``."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
from ase.build import add_adsorbate, bulk, fcc111

BPA = Path(__file__).resolve().parents[1] / "structures" / "bpa.xyz"

#: Repetitions of the one-atom fcc cell: the number of neighbours per atom is the same for every size.
CRYSTALS = {50: (5, 5, 2), 100: (5, 5, 4), 200: (5, 5, 8), 400: (10, 5, 8), 800: (10, 10, 8)}


def molecule(path: Path = BPA) -> ase.Atoms:
    """3-(benzyloxy)pyridin-2-amine, 27 atoms: the molecule of the 3BPA benchmark; the first frame of any file of it."""
    (atoms,) = ase.io.iread(path, index=slice(0, 1))
    atoms.calc = None
    return atoms


def slab(seed: int) -> ase.Atoms:
    """Rattled Cu(111), 3 x 3 x 4, with O in an fcc site: 37 atoms, periodic along the surface and across the vacuum."""
    atoms = fcc111("Cu", size=(3, 3, 4), vacuum=7.5)
    add_adsorbate(atoms, "O", height=1.2, position="fcc")
    atoms.pbc = True
    atoms.rattle(0.05, seed=seed)
    return atoms


def crystal(number: int, seed: int) -> ase.Atoms:
    """Rattled fcc Cu with `number` atoms (a key of CRYSTALS), 42 neighbours per atom within 5 A before rattling."""
    atoms = bulk("Cu", "fcc", a=3.61).repeat(CRYSTALS[number])
    atoms.rattle(0.02, seed=seed)
    return atoms
