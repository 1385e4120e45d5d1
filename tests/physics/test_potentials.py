"""The laws of potentials, for every kind that claims to be smooth or equivariant, small and with random weights.

Files of them are with the heads, on smaller networks.
"""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation
from support.physics_models import VARIANTS, evaluate, make_potential, rattled_crystal, rattled_molecule

from mlff.irreps import wigner
from mlff.potential import Potential, PotentialConfig
from mlff.testing import DerivativeLaws, LocalityLaws, agree, with_random_weights


class WithMolecule:
    """Also a molecule and a crystal of the kind that the models are for."""

    def examples(self, model: Potential) -> dict[str, Atoms]:
        return {**super().examples(model), "ethanol": rattled_molecule(), "crystal": rattled_crystal()}


class WithAwkwardEdges(WithMolecule):
    def derivative_examples(self, model: Potential) -> dict[str, Atoms]:
        edges = {name: x for name, x in super().derivative_examples(model).items() if name.startswith("edges")}
        return {**edges, "molecule": rattled_molecule()[[0, 1, 2, 3]], "crystal": rattled_crystal()}

    def test_roll_of_the_edge_frames_is_invisible(self, model, monkeypatch):
        examples = self.examples(model)
        expected = self.each(model, examples)
        plain = wigner.edge_rotation

        def rolled(direction):
            angle = 1.0 + torch.arange(len(direction), dtype=torch.float64)  # another angle for every edge
            roll = torch.zeros(len(direction), 3, 3, dtype=torch.float64)
            roll[:, 0, 0] = roll[:, 2, 2] = torch.cos(angle)
            roll[:, 0, 2], roll[:, 2, 0] = torch.sin(angle), -torch.sin(angle)
            roll[:, 1, 1] = 1.0
            return roll @ plain(direction)

        monkeypatch.setattr(wigner, "edge_rotation", rolled)
        agree("roll", expected, self.each(model, examples), self.tolerance, self.smallest)


class TestConservative(WithAwkwardEdges, LocalityLaws, DerivativeLaws):
    @pytest.fixture(params=[name for name in VARIANTS if "without parity" not in name])
    def model(self, request) -> Potential:
        return make_potential(request.param)


class TestWithoutParity(WithAwkwardEdges, LocalityLaws, DerivativeLaws):
    parity = False

    @pytest.fixture
    def model(self) -> Potential:
        return make_potential("smooth without parity")


class TestDirect(WithMolecule, LocalityLaws):
    @pytest.fixture
    def model(self) -> Potential:
        return make_potential(forces="direct")


def test_published_architecture_is_equivariant_up_to_its_grid():
    """SiLU on an 18 × 18 grid: small but visible errors, as in the public model (see the design literature)."""
    torch.manual_seed(0)
    backbone = {
        "preset": "equiformer-v2-31M", "num_layers": 2, "channels": 16, "hidden_channels": 8, "num_heads": 2,
        "alpha_channels": 8, "value_channels": 8, "ffn_channels": 16, "edge_channels": 16, "num_radial": 32,
    }  # fmt: skip
    config = PotentialConfig(species=("H", "C", "O"), forces="direct", backbone=backbone)
    potential = with_random_weights(Potential(config), width=0.0)
    atoms, matrix = rattled_molecule(), Rotation.random(random_state=6).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ matrix.T
    out, after = evaluate(potential, atoms), evaluate(potential, turned)
    error = np.linalg.norm(after["forces"] - out["forces"] @ matrix.T) / np.linalg.norm(out["forces"])
    assert 1e-12 < error < 1e-2
