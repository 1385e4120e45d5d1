from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app, unit
from support.openmm_systems import ROOT
from support.pdb_files import write_pdb

from md_drivers import SimulationResult, SimulationSettings, simulate

DIPEPTIDE = ROOT / "examples" / "alanine_dipeptide.pdb"
Simulate = Callable[..., SimulationResult]


@pytest.fixture(scope="session")
def dipeptide_file() -> Path:
    return DIPEPTIDE


@pytest.fixture(scope="session")
def oxygen_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """27 O atoms in a box, near the minimum of the toy potential."""
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)
    atoms = Atoms("O27", 1.6 * grid + np.random.default_rng(3).normal(0, 0.02, (27, 3)), cell=[4.8] * 3, pbc=True)
    return write_pdb(tmp_path_factory.mktemp("structures") / "oxygen.pdb", atoms)


@pytest.fixture(scope="session")
def solvated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dipeptide in TIP3P water, 18 A box."""
    pdb = app.PDBFile(str(DIPEPTIDE))
    modeller = app.Modeller(pdb.topology, pdb.positions)
    forcefield = app.ForceField("amber14-all.xml", "amber14/tip3p.xml")
    modeller.addSolvent(forcefield, boxSize=openmm.Vec3(1.85, 1.85, 1.85) * unit.nanometer)
    path = tmp_path_factory.mktemp("structures") / "solvated.pdb"
    with open(path, "w") as file:
        app.PDBFile.writeFile(modeller.topology, modeller.positions, file)
    return path


@pytest.fixture
def dynamics(toy_path: Path, dipeptide_file: Path, tmp_path: Path) -> Simulate:
    """``simulate`` of the dipeptide with the toy potential into ``tmp_path / name``; settings by keyword.

    The toy potential knows no bonds, so the dipeptide is a droplet of atoms; time steps are short for its hot start.
    """

    def run(name: str = "out", *, structure: Path = dipeptide_file, steps: int = 40, **options) -> SimulationResult:
        control = ("resume", "checkpoint_interval", "on_progress", "should_stop", "platform", "device")
        given = {key: options.pop(key) for key in control if key in options}
        settings = {"report_interval": 10, "minimize": False, "time_step": 0.25, **options}
        return simulate(
            structure, toy_path, tmp_path / name, steps=steps, settings=SimulationSettings(**settings), **given
        )

    return run
