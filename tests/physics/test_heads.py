"""The laws of what potentials have besides the energy: a row and a class each."""

import pytest
from support.physics_models import make_potential

from mlff.graph import Quantity, quantities
from mlff.potential import Potential
from mlff.testing import PotentialLaws

SIZE = {"num_layers": 1, "channels": 8}
ROWS = (
    Quantity("quadrupole", "structure", "2e", "e·Å²", extensive=True, periodic=False),
    Quantity("gap", "structure", "0e", "eV"),
    Quantity("shielding", "atom", "0e+2e", "ppm"),
)


class TestDipole(PotentialLaws):
    @pytest.fixture
    def model(self) -> Potential:
        return make_potential(properties=("dipole",), **SIZE)


class TestDipoleBesideScalars(PotentialLaws):
    """Read from the l = 0 of the last block and the l > 0 that entered it."""

    @pytest.fixture
    def model(self) -> Potential:
        return make_potential(properties=("dipole",), last_block="scalars", channels=8)


class TestReadOut(PotentialLaws):
    """Extensive, intensive and atomic quantities of a potential with direct forces."""

    @pytest.fixture
    def model(self, monkeypatch) -> Potential:
        for row in ROWS:
            monkeypatch.setitem(quantities._rows, row.name, row)
        return make_potential(forces="direct", properties=tuple(row.name for row in ROWS), **SIZE)
