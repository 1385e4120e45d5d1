"""Relax a rattled adsorbate on a metal slab with a pretrained model.

    python examples/relax_adsorbate.py formate-cu110
    python examples/relax_adsorbate.py co2-ni100 --output co2

The start structures repeat the cells that the models were trained on (orientation, lattice constant, number of layers,
vacuum), so that the models are used where they know something.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import fcc100, fcc110
from ase.constraints import FixAtoms

from md_drivers import relax
from md_drivers.ase.table import print_summary
from mlff.support.console import NOT_CONVERGED


def formate_on_cu110(seed: int = 0) -> Atoms:
    """HCOO with its oxygens above two neighbours of a close-packed row of Cu(110), 52 atoms, rattled."""
    lattice_constant = 3.546  # A, of the training data
    slab = fcc110("Cu", (3, 4, 4), a=lattice_constant)
    spacing = lattice_constant / np.sqrt(2)
    # x, y, height above the top layer, relative to the bridge between two atoms of a row along y (A)
    formate = Atoms("COOH", positions=[[0, 0, 2.54], [0, -1.13, 1.96], [0, 1.13, 1.96], [0, 0, 3.64]])
    return _adsorb(slab, formate, site=[lattice_constant, 1.5 * spacing], height=30.0, seed=seed)


def co2_on_ni100(seed: int = 0) -> Atoms:
    """Bent CO2 above a hollow of Ni(100), 39 atoms, rattled."""
    lattice_constant = 7.5203 * np.sqrt(2) / 3  # A, of the training data
    slab = fcc100("Ni", (3, 3, 4), a=lattice_constant)
    spacing = lattice_constant / np.sqrt(2)
    co2 = Atoms("OOC", positions=[[-0.74, 0, 1.37], [1.25, 0, 2.58], [0.69, 0, 1.49]])
    return _adsorb(slab, co2, site=[1.5 * spacing, 1.5 * spacing], height=20.3176, seed=seed)


SYSTEMS: dict[str, Callable[[], Atoms]] = {"formate-cu110": formate_on_cu110, "co2-ni100": co2_on_ni100}


def _adsorb(slab: Atoms, molecule: Atoms, site: list[float], height: float, seed: int) -> Atoms:
    """Put ``molecule`` on ``site`` of ``slab``, fix its two lowest layers, rattle the rest by 0.07 A."""
    slab.info.clear()
    slab.cell[2] = [0.0, 0.0, height]
    slab.pbc = True
    top = slab.positions[slab.get_tags() == 1]
    molecule.translate([top[0, 0] + site[0], top[0, 1] + site[1], top[0, 2]])
    atoms = slab + molecule
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() >= 3))
    atoms.rattle(0.07, seed=seed)
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(description="Relax a rattled adsorbate on a metal slab with a pretrained model.")
    parser.add_argument("system", choices=list(SYSTEMS), nargs="?", default="formate-cu110")
    parser.add_argument("--model", help="exported file to use in place of the pretrained model of the same name")
    parser.add_argument("-o", "--output", type=Path, default=Path("relaxed"))
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/A")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    results = relax(
        {options.system: SYSTEMS[options.system]()},
        options.model or options.system,
        optimizer="BFGS",
        fmax=options.fmax,
        steps=options.steps,
        output=options.output,
        progress=True,
    )
    print_summary(results)
    if not all(result.converged for result in results):
        raise SystemExit(NOT_CONVERGED)


if __name__ == "__main__":
    main()
