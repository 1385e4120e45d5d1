"""The dipole head: structures that are charged, or fall apart into fragments; laws are in tests/physics."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation
from support.physics_models import make_potential

from mlff.graph import graph_from_atoms
from mlff.potential import Potential

FAR = np.array([300.0, -200.0, 100.0])  # Å


@pytest.fixture(scope="module")
def potential() -> Potential:
    return make_potential(properties=("dipole",), num_layers=1, channels=8)


def rattled(name: str, seed: int) -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.1, seed=seed)
    return atoms


def moment(potential: Potential, atoms: Atoms, charge: float | None = None) -> tuple[np.ndarray, float]:
    """Dipole in e·Å and the sum of the atomic charges in e, which is made to be ``charge`` if that is given."""
    network = potential.properties["dipole"].network
    found = []

    def shift(module, arguments, y):
        y = y.clone()
        if charge is not None:
            y[:, 0, 0] += (charge - y[:, 0, 0].sum()) / len(y)
        found.append(float(y[:, 0, 0].detach().sum()))
        return y

    handle = network.register_forward_hook(shift)
    try:
        graph = graph_from_atoms(atoms, potential.config.cutoff, dtype=torch.float64)
        return potential(*graph.inputs)["dipole"][0].numpy(), found[0]
    finally:
        handle.remove()


@pytest.mark.parametrize("charge", [0.0, 1.0, -2.0])
def test_a_charged_fragment_has_a_moment_that_does_not_depend_on_where_it_lies(potential, charge):
    atoms = rattled("CH3CH2OH", 0)
    reference, _ = moment(potential, atoms, charge)
    moved = atoms.copy()
    moved.positions += FAR
    assert moment(potential, moved, charge)[0] == pytest.approx(reference, abs=1e-11)
    for matrix in (Rotation.random(random_state=1).as_matrix(), np.diag([1.0, -1.0, 1.0])):
        turned = atoms.copy()
        turned.positions = atoms.positions @ matrix.T + FAR
        assert moment(potential, turned, charge)[0] == pytest.approx(matrix @ reference, abs=1e-11)
    order = np.random.default_rng(2).permutation(len(atoms))
    assert moment(potential, atoms[order], charge)[0] == pytest.approx(reference, abs=1e-12)


def test_a_charge_moves_the_moment_with_the_centre_of_mass(potential):
    """The atoms share an added charge equally: Q (mean position − centre of mass)."""
    atoms = rattled("CH3OH", 0)
    (neutral, _), (charged, _) = (moment(potential, atoms, charge) for charge in (0.0, 1.0))
    assert charged - neutral == pytest.approx(atoms.positions.mean(0) - atoms.get_center_of_mass(), abs=1e-12)


def test_moments_of_distant_fragments_add_up_about_the_common_centre_of_mass(potential):
    """μ = Σ_f μ_f + Q_f (R_f − R): without the charges, which the atoms of an untrained model have, the plain sum."""
    first, second = rattled("CH3OH", 0), rattled("CO2", 1)
    second.positions += FAR
    whole, charge = moment(potential, first + second)
    parts = [moment(potential, atoms) for atoms in (first, second)]
    assert charge == pytest.approx(sum(q for _, q in parts), abs=1e-12)
    assert max(abs(q) for _, q in parts) > 1e-3
    center = (first + second).get_center_of_mass()
    arms = sum(q * (atoms.get_center_of_mass() - center) for atoms, (_, q) in zip((first, second), parts, strict=True))
    assert whole - arms == pytest.approx(sum(mu for mu, _ in parts), abs=1e-10)


def test_moments_of_distant_neutral_fragments_add_up(potential):
    """Charges that are the same in every molecule of a kind: hydrogen gives to what it is bound to."""
    fragments = [rattled("H2O", 0), rattled("CH4", 1), rattled("H2O", 2)]
    for k, atoms in enumerate(fragments):
        atoms.positions += k * FAR
        lightest = atoms.numbers == 1
        atoms.set_initial_charges(np.where(lightest, 0.3, -0.3 * lightest.sum()))

    def neutral(atoms: Atoms) -> np.ndarray:
        charges = torch.from_numpy(atoms.get_initial_charges())

        def replace(module, arguments, y):
            return torch.cat([torch.cat([charges[:, None, None], y[:, 1:, :1]], dim=1), y[:, :, 1:]], dim=2)

        handle = potential.properties["dipole"].network.register_forward_hook(replace)
        try:
            return moment(potential, atoms)[0]
        finally:
            handle.remove()

    whole = fragments[0] + fragments[1] + fragments[2]
    assert neutral(whole) == pytest.approx(sum(neutral(atoms) for atoms in fragments), abs=1e-10)
    assert np.linalg.norm(neutral(whole)) > 0.1
