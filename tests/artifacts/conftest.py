"""One exported toy potential for all tests that only read it."""

import ase
import pytest
from ase.build import bulk, molecule
from support.toy_potential import export_toy


@pytest.fixture(scope="session")
def frames() -> list[ase.Atoms]:
    """A rattled crystal and a molecule."""
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.1, seed=1)
    crystal.symbols[0] = "O"
    return [crystal, molecule("CH3OH")]


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory, frames):
    """A conservative toy model in float32 with metadata."""
    data = {"name": "rattled copper", "licence": "MIT", "sha256": "0" * 64, "frames": 12, "temperature": 300}
    about = {"name": "toy", "description": "pairs", "licence": "MIT", "training_data": data}
    about |= {"training_config": {"epochs": 3, "lr": [1e-3, 1e-4]}, "extra": {"note": "ä"}}
    return export_toy(tmp_path_factory.mktemp("toy") / "toy.pt", metadata=about, self_test_frames=frames)
