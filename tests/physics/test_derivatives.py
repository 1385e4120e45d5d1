"""Forces and stress are derivatives of the energy, also for awkward edges; everything is smooth at the cutoff."""

import numpy as np
import pytest
import torch
from ase import Atoms
from support.physics_models import VARIANTS, bonding_energy, evaluate, make_potential, rattled_crystal, rattled_molecule
from support.rounding import rounding

RELATIVE = 1e-6
STEP = 1e-4


@pytest.fixture(scope="module", params=VARIANTS)
def potential(request):
    return make_potential(request.param)


def central_difference(function, step: float = STEP) -> float:
    """Fourth-order central difference at zero."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


def numerical_forces(potential, atoms: Atoms) -> np.ndarray:
    forces = np.zeros((len(atoms), 3))
    for atom in range(len(atoms)):
        for axis in range(3):

            def energy(step, atom=atom, axis=axis):
                moved = atoms.copy()
                moved.positions[atom, axis] += step
                return bonding_energy(potential, moved)

            forces[atom, axis] = -central_difference(energy)
    return forces


@pytest.mark.parametrize(
    "atoms",
    [
        rattled_crystal(),
        rattled_molecule()[[0, 1, 2, 3]],
        Atoms("OCO", [[0, 0, 0], [0, 1.2, 0], [0, 2.4, 0]]),  # edges along ±y
        Atoms("HCO", [[1.1, 0, 0], [0, 0, 0], [0, 0, 1.2]]),  # edges on the chart boundary y = 0
    ],
    ids=["crystal", "molecule", "along y", "y = 0"],
)
def test_forces(potential, atoms):
    expected = numerical_forces(potential, atoms)
    forces = evaluate(potential, atoms)["forces"]
    assert np.linalg.norm(forces - expected) <= RELATIVE * np.linalg.norm(expected)
    assert np.abs(forces.sum(axis=0)).max() < 1e-10


def test_stress(potential):
    atoms = rattled_crystal()
    stress = evaluate(potential, atoms, stress=True)["stress"][0]
    expected = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):

            def energy(step, i=i, j=j):
                strain = np.eye(3)
                strain[i, j] += 0.5 * step
                strain[j, i] += 0.5 * step
                strained = atoms.copy()
                strained.set_cell(atoms.cell @ strain, scale_atoms=True)
                return bonding_energy(potential, strained)

            expected[i, j] = central_difference(energy) / atoms.get_volume()
    assert np.linalg.norm(stress - expected) <= RELATIVE * np.linalg.norm(expected)
    assert np.allclose(stress, stress.T, atol=1e-14)


NEIGHBOURHOODS = {
    "no other neighbour": Atoms("C"),
    "one other neighbour": Atoms("CO", [[0, 0, 0], [1.2, 0, 0]]),
    "many": rattled_molecule(),
}


@pytest.mark.parametrize("host", NEIGHBOURHOODS.values(), ids=NEIGHBOURHOODS.keys())
def test_energy_forces_and_their_derivative_are_continuous_at_the_cutoff(potential, host):
    """An atom crosses the cutoff of atom 0. u² makes the energy leave like (r_c − r)⁶, or (r_c − r)³ at worst."""
    direction = np.array([-2.0, -1.0, 2.0]) / 3.0

    def state(distance):
        atoms = host + Atoms("H", [host.positions[0] + direction * distance])
        out = evaluate(potential, atoms)
        return bonding_energy(potential, atoms), out["forces"]

    cutoff = potential.config.cutoff
    gap = 1e-5
    inside, outside = state(cutoff - gap), state(cutoff + gap)
    scale = max(np.abs(inside[1]).max(), 1.0)
    assert abs(inside[0] - outside[0]) < 1e-8 + 4 * gap * scale * np.abs(direction @ inside[1][-1])
    assert np.abs(inside[1] - outside[1]).max() < 1e-3 * scale * gap * 1e3
    # derivative of the forces from both sides
    step = 1e-4
    left = (state(cutoff - gap)[1] - state(cutoff - gap - step)[1]) / step
    right = (state(cutoff + gap + step)[1] - state(cutoff + gap)[1]) / step
    assert np.abs(left - right).max() < 2e-2 * max(1.0, np.abs(right).max())


def test_atoms_beyond_the_cutoff_do_not_interact(potential):
    isolated = sum(bonding_energy(potential, Atoms(symbol)) for symbol in "CO")
    pair = Atoms("CO", [[0, 0, 0], [0, 0, potential.config.cutoff + 1e-9]])
    # the energies of the free atoms, thousands of eV, were subtracted
    assert bonding_energy(potential, pair) == pytest.approx(isolated, abs=rounding(torch.float64, 1e4, operations=10))
    assert np.array_equal(evaluate(potential, pair)["forces"], np.zeros((2, 3)))
    assert evaluate(potential, Atoms("H"))["forces"].shape == (1, 3)
