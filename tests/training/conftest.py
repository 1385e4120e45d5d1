"""Frames labelled with ASE's EMT and a small configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write


def emt_frames(count: int, seed: int = 0) -> list[Atoms]:
    """Rattled CuAu cells of four atoms with EMT energies, forces and stresses."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[: rng.integers(1, 3)] = "Au"
        atoms.rattle(0.15, rng=rng)
        atoms.calc = EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    path = tmp_path / "emt.extxyz"
    write(path, emt_frames(20))
    return path


@pytest.fixture
def real_figures() -> None:
    """Asks for figures to be drawn."""


@pytest.fixture(autouse=True)
def _figures_skipped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here; tests that look at figures ask for ``real_figures``."""
    if "real_figures" not in request.fixturenames:
        monkeypatch.setattr("mlff.training.plots.write_figure", lambda image, figure: image.touch())


SMALL_BACKBONE = {
    **{"preset": "smooth", "num_layers": 1, "lmax": 1, "mmax": 1, "num_heads": 2, "num_radial": 6, "cutoff": 3.2},
    **{"channels": 8, "hidden_channels": 8, "alpha_channels": 4, "value_channels": 4, "ffn_channels": 8},
    "edge_channels": 8,
}


@pytest.fixture
def write_config(tmp_path: Path, data_file: Path) -> Callable[..., Path]:
    """Writes a configuration with the given top-level fields replaced."""

    def write_fields(name: str = "config.yaml", **fields: Any) -> Path:
        content = {
            "data": {"paths": data_file.name},
            "model": {"species": ["Cu", "Au"], "backbone": SMALL_BACKBONE},
            "optimizer": {"lr": 0.01, "warmup_steps": 2},
            "batch_size": 4,
            "epochs": 3,
            "log_every": 1,
            "accelerator": "cpu",
            "output": "run",
        }
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content | fields))
        return path

    return write_fields
