"""How far an atom is felt, measured: one atom moves, and the energies of the others are watched."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from support.physics_models import VARIANTS, evaluate, make_potential


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layers", [1, 2])
def test_energies_change_within_the_receptive_field_and_nowhere_else(variant: str, layers: int) -> None:
    potential = make_potential(variant, num_layers=layers)
    spacing = 0.6 * potential.config.cutoff  # only neighbours of the chain see each other
    rng = np.random.default_rng(0)
    chain = Atoms(rng.choice([1, 6, 8, 29], size=layers + 5), rng.normal(scale=0.2, size=(layers + 5, 3)))
    chain.positions[:, 0] += spacing * np.arange(len(chain))
    moved = chain.copy()
    moved.positions[0, 1] += 0.3
    change = np.abs(evaluate(potential, moved)["energies"] - evaluate(potential, chain)["energies"])

    hops = layers + 1
    assert potential.config.receptive_field == pytest.approx(hops * potential.config.cutoff)
    assert change[hops] > 1e-9
    assert (change[hops + 1 :] < 1e-11).all()
