"""The ZBL term against published numbers, its switch, and its place in the potential."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.data import covalent_radii
from pydantic import ValidationError
from support.physics_models import SMALL, evaluate

from mlff.potential import Potential, PotentialConfig
from mlff.potential.repulsion import NuclearRepulsion


def pair_energy(first: int, second: int, distance: float, cutoff: float = 5.0) -> float:
    numbers = torch.tensor([first]), torch.tensor([second])
    return NuclearRepulsion(cutoff)(torch.tensor([distance], dtype=torch.float64), *numbers).item()


def make(repulsion: str) -> Potential:
    torch.manual_seed(0)
    config = PotentialConfig(species=("H", "C", "O"), repulsion=repulsion, backbone=SMALL)
    potential = Potential(config).eval().requires_grad_(False)
    for parameter in potential.parameters():
        parameter.data = parameter.data.double()
    return potential


def test_bare_nuclei_at_short_range() -> None:
    """At 1e-4 A neither electrons nor the switch matter: Coulomb's law."""
    assert pair_energy(6, 8, 1e-4) == pytest.approx(48 * units.Hartree * units.Bohr / 1e-4, rel=2e-2)


def test_universal_screening_function() -> None:
    """φ(1) = 0.4164 and φ(5) = 0.0522 of the universal potential, with a = 0.8854 a0 / (Z1^0.23 + Z2^0.23)."""
    length = 0.88534 * units.Bohr / (2 * 14**0.23)
    for x, screening in ((1.0, 0.41643), (5.0, 0.05224)):
        distance = x * length
        ratio = distance / (2 * covalent_radii[14])
        switch = 1 - 21 * ratio**5 + 35 * ratio**6 - 15 * ratio**7
        expected = 14 * 14 * 14.3996 / distance * screening * switch
        assert pair_energy(14, 14, distance) == pytest.approx(expected, rel=2e-3)


def test_symmetric_and_zero_from_the_covalent_radii_on() -> None:
    reach = covalent_radii[6] + covalent_radii[8]
    assert pair_energy(6, 8, 1.0) == pair_energy(8, 6, 1.0) > 1.0
    assert pair_energy(6, 8, reach) == 0.0
    assert 0.0 < pair_energy(6, 8, 0.97 * reach) < 0.02


def test_zero_at_a_cutoff_within_the_covalent_radii() -> None:
    """Edges end there: a larger energy would jump."""
    assert pair_energy(55, 55, 3.99) > 1e-3
    assert 0.0 < pair_energy(55, 55, 3.99, cutoff=4.0) < 1e-6
    assert pair_energy(55, 55, 4.0, cutoff=4.0) == 0.0


def test_potential_counts_each_pair_once_and_has_its_forces() -> None:
    plain, repelled = make("none"), make("zbl")
    atoms = Atoms("CO", positions=[[0.1, 0.2, 0.3], [0.5, 0.9, 0.6]])
    distance = atoms.get_distance(0, 1)
    before, after = evaluate(plain, atoms), evaluate(repelled, atoms)
    assert after["energy"].item() - before["energy"].item() == pytest.approx(pair_energy(6, 8, distance), rel=1e-12)
    h = 1e-5
    slope = (pair_energy(6, 8, distance + h) - pair_energy(6, 8, distance - h)) / (2 * h)
    along = (atoms.positions[1] - atoms.positions[0]) / distance
    np.testing.assert_allclose(after["forces"][1] - before["forces"][1], -slope * along, rtol=1e-7)


def test_nothing_changes_without_it() -> None:
    assert set(make("none").state_dict()) == set(make("zbl").state_dict())
    assert torch.jit.script(make("zbl"))


def test_direct_forces_refuse_it() -> None:
    with pytest.raises(ValidationError, match="needs conservative forces"):
        PotentialConfig(species=("H",), forces="direct", repulsion="zbl")
