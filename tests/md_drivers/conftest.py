from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from support.toy_potential import export_toy, toy_potential

import mlff
from mlff.potential.artifact import LoadedModel


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H, C, O, Cu in float64 with a cutoff of 4 A."""
    return export_toy(tmp_path_factory.mktemp("toy") / "toy.pt", dtype=torch.float64)


@pytest.fixture(scope="session")
def model(model_path: Path) -> LoadedModel:
    return mlff.load(model_path)


@pytest.fixture(scope="session")
def direct_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like ``model_path``, but declared as a model of direct forces."""
    return export_toy(tmp_path_factory.mktemp("toy") / "direct.pt", dtype=torch.float64, conservative=False)


@pytest.fixture(scope="session")
def pure_lj_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain Lennard-Jones pairs of Cu up to 8 A, depth 0.1 eV: exact for clusters smaller than that."""
    model = toy_potential((29,), 8.0, dtype=torch.float64)
    model.cutoff = 1e6  # of the factor that takes the pairs to zero; the neighbour list keeps to 8 A
    return mlff.export(model, tmp_path_factory.mktemp("toy") / "lj.pt")


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """Records (forces, stress) of each evaluation of any model."""
    calls: list[tuple[bool, bool]] = []
    original: Callable[..., dict[str, torch.Tensor]] = LoadedModel.evaluate

    def evaluate(self, graph, *, forces=True, stress=False, sigmas=()):
        calls.append((forces, stress))
        return original(self, graph, forces=forces, stress=stress)

    monkeypatch.setattr(LoadedModel, "evaluate", evaluate)
    return calls


@pytest.fixture
def formate() -> Atoms:
    """An HCOO above four Cu atoms in a triclinic cell, at a general geometry."""
    atoms = Atoms(
        "HCO2Cu4",
        positions=[
            [1.9, 1.5, 5.3],
            [1.8, 1.4, 4.2],
            [0.8, 1.7, 3.5],
            [2.9, 1.2, 3.6],
            [0.1, 0.2, 1.9],
            [2.7, 0.1, 1.6],
            [1.2, 2.5, 1.7],
            [3.9, 2.4, 1.8],
        ],
        cell=[[5.2, 0.3, 0.0], [-0.4, 4.9, 0.1], [0.2, 0.4, 7.5]],
        pbc=True,
    )
    return atoms


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
