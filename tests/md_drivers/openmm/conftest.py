from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from ase import Atoms
from openmm import app
from support.openmm_systems import ROOT, atoms_of
from support.physics_models import SMALL
from support.toy_potential import export_toy

import mlff
from mlff.potential import Potential, PotentialConfig
from mlff.potential.artifact import LoadedModel

ORGANIC = (1, 6, 7, 8)


@pytest.fixture(
    params=[
        "pythonforce",
        pytest.param(
            "torchforce",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("openmmtorch") is None, reason="openmmtorch is not here: make test-torchforce"
            ),
        ),
    ]
)
def implementation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def toy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lennard-Jones pairs of H, C, N, O in float64 with a cutoff of 4 A."""
    return export_toy(tmp_path_factory.mktemp("openmm") / "toy.pt", ORGANIC, dtype=torch.float64)


@pytest.fixture(scope="session")
def network_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights for H, C, N, O, conservative and smooth, in float64."""
    torch.manual_seed(7)
    config = PotentialConfig(species=("H", "C", "N", "O"), backbone={**SMALL, "num_layers": 1})
    potential = Potential(config).eval()
    potential.set_normalization(dict.fromkeys(ORGANIC, -1.0), scale=2.0, avg_degree=10.0)
    return mlff.export(potential, tmp_path_factory.mktemp("openmm") / "network.pt", dtype="float64")


@pytest.fixture(scope="session")
def toy(toy_path: Path) -> LoadedModel:
    return mlff.load(toy_path)


@pytest.fixture(scope="session")
def network(network_path: Path) -> LoadedModel:
    return mlff.load(network_path)


@pytest.fixture(scope="session")
def dipeptide() -> app.PDBFile:
    """Alanine dipeptide in vacuum, 22 atoms."""
    return app.PDBFile(str(ROOT / "examples" / "alanine_dipeptide.pdb"))


@pytest.fixture(scope="session")
def dipeptide_atoms(dipeptide: app.PDBFile) -> Atoms:
    return atoms_of(dipeptide.topology, dipeptide.positions)
