"""Small labelled structures: a copper slab with EMT and a Lennard-Jones molecule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms


def label(atoms: Atoms, calculator: object, properties: tuple[str, ...] = ("energy", "forces")) -> Atoms:
    """The structure with the calculator's results stored, as a file reader returns it."""
    work = atoms.copy()
    work.calc = calculator
    results = {name: calculator.get_property(name, work) for name in properties}
    labelled = atoms.copy()
    labelled.calc = SinglePointCalculator(labelled, **results)
    return labelled


@pytest.fixture
def slabs() -> Callable[[int], list[Atoms]]:
    """n rattled Cu(111) slabs of 12 atoms with an O atom, bottom layer fixed, EMT energy and (raw) forces."""

    def make(count: int) -> list[Atoms]:
        frames = []
        for seed in range(count):
            slab = fcc111("Cu", (2, 2, 3), vacuum=6.0)
            slab += Atoms("O", positions=[slab.positions[-1] + (0.3, 0.2, 1.3)])
            slab.rattle(0.08, seed=seed)
            slab.set_constraint(FixAtoms(indices=[0, 1, 2, 3]))
            # Builder notes that extxyz cannot write.
            slab.info = {"run": f"run{seed // 3}"}
            # Raw forces: the constraint must not reach the labels.
            free = slab.copy()
            free.set_constraint()
            labelled = label(free, EMT())
            slab.calc = SinglePointCalculator(slab, **labelled.calc.results)
            frames.append(slab)
        return frames

    return make


@pytest.fixture
def molecules() -> Callable[[int], list[Atoms]]:
    """n non-periodic argon clusters of 5 atoms, Lennard-Jones energy and forces."""

    def make(count: int) -> list[Atoms]:
        rng = np.random.default_rng(5)
        base = np.array([[0, 0, 0], [3.6, 0, 0], [0, 3.7, 0], [0, 0, 3.8], [3.5, 3.5, 0.2]])
        return [
            label(
                Atoms("Ar5", positions=base + rng.normal(scale=0.1, size=base.shape)),
                LennardJones(sigma=3.4, epsilon=0.01, rc=20.0),
            )
            for _ in range(count)
        ]

    return make
