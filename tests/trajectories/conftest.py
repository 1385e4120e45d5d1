"""Small trajectories in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.trajectory_files import write_system

WriteSystem = Callable[..., Path]


@pytest.fixture(scope="session")
def system_file() -> WriteSystem:
    return write_system


@pytest.fixture(scope="session")
def two_systems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Peptides of different size; PHE, ASP and ARG have atoms that may trade names."""
    folder = tmp_path_factory.mktemp("systems")
    large = ("ACE", "PHE", "ASP", "GLY", "ARG", "NME")
    return write_system(folder, name="small"), write_system(folder, large, name="large")
