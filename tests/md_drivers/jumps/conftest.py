from __future__ import annotations

from pathlib import Path

import pytest
from support.toy_jump import DIPEPTIDE_RESIDUES, toy_jump

import mlff
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import cloud_from_trajectory
from mlff.proteins.geometry import GeometryReference

mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")

DIPEPTIDE = Path(__file__).parents[3] / "examples" / "alanine_dipeptide.pdb"


@pytest.fixture(scope="session")
def dipeptide() -> Path:
    """Alanine dipeptide with hydrogens."""
    return DIPEPTIDE


@pytest.fixture(scope="session")
def jump_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jump model in float64 with jumps of a few hundredths of an Å, for 10 and 20 ps."""
    cloud, layout = cloud_from_trajectory(mdtraj.load(str(DIPEPTIDE)))
    geometry = GeometryReference.of([(layout, layout.atoms(cloud).double().numpy())])
    path = tmp_path_factory.mktemp("jump") / "jump.pt"
    return mlff.export_jump(toy_jump(), path, residues=DIPEPTIDE_RESIDUES, geometry=geometry, metadata={"name": "toy"})


@pytest.fixture(scope="session")
def jump(jump_path: Path) -> LoadedJump:
    return mlff.load_jump(jump_path)


@pytest.fixture(scope="session")
def stray_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jumps of thousands of Å, which explode sooner or later."""
    return mlff.export_jump(toy_jump(sigma=2000.0), tmp_path_factory.mktemp("jump") / "stray.pt")
