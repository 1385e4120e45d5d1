"""Compiled copies: the interface of `Copies`, its forces, its distribution, its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlff.sampling.peptides import Peptide, capped_peptide, minimise
from mlff.sampling.trajectories import CompiledCopies, Copies, GenerationConfig, SystemConfig, generate
from mlff.sampling.trajectories.chunks import groups_of, make_chunk
from mlff.support.errors import InputError, RunError
from mlff.trajectories import load_dataset

pytestmark = pytest.mark.usefixtures("engine")

COPIES = 16
CONFIG = GenerationConfig(platform="torch")


@pytest.fixture(scope="module")
def glycine() -> Peptide:
    return minimise(capped_peptide("G"), "gbn2")


@pytest.fixture(scope="module")
def start(glycine: Peptide) -> np.ndarray:
    return np.repeat(0.1 * (glycine.positions - glycine.positions.mean(axis=0))[None], COPIES, axis=0)


@pytest.fixture(scope="module")
def copies(glycine: Peptide) -> CompiledCopies:
    return CompiledCopies(glycine, COPIES, CONFIG)


def test_forces_are_those_of_copies_in_openmm(glycine: Peptide, start: np.ndarray) -> None:
    moved = start[:2] + np.random.default_rng(0).normal(scale=0.003, size=start[:2].shape)
    found = []
    for kind, platform in ((CompiledCopies, "torch"), (Copies, "Reference")):
        copies = kind(glycine, 2, GenerationConfig(platform=platform))
        copies.start(moved, None, 1)
        found.append(copies.forces())
    assert np.abs(found[0] - found[1]).max() < 1e-5 * np.abs(found[1]).max()


def test_copies_differ_and_repeat(copies: CompiledCopies, start: np.ndarray) -> None:
    def after(seed: int) -> np.ndarray:
        copies.start(start, None, seed)
        return copies.run(300)

    first = after(1)
    assert np.array_equal(first, after(1))
    assert np.abs(first - after(2)).max() > 0.01
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert np.abs(first.mean(axis=1)).max() < 1e-6


def test_the_distribution_is_that_of_openmm(copies: CompiledCopies, glycine: Peptide, start: np.ndarray) -> None:
    """Means and spreads of distances between heavy atoms, from 16 × 16 ps each."""
    heavy = [atom.index for atom in glycine.topology.atoms() if atom.element.symbol != "H"]
    first, second = np.triu_indices(len(heavy), 1)
    statistics = []
    for one in (copies, Copies(glycine, COPIES, GenerationConfig())):
        one.start(start, None, 3)
        one.run(500)
        frames = np.array([one.run(40)[:, heavy] for _ in range(100)])
        distances = np.linalg.norm(frames[:, :, first] - frames[:, :, second], axis=-1)
        statistics.append((distances.mean(axis=0), distances.std(axis=0)))
    (mean, spread), (wanted_mean, wanted_spread) = statistics
    error = np.sqrt((mean.var(axis=0) + wanted_mean.var(axis=0)) / COPIES)
    assert (np.abs(mean.mean(0) - wanted_mean.mean(0)) < 5 * error + 1e-4).all()
    stiff = wanted_spread.mean(0) < 0.01  # bonds and angles; the others exchange basins
    assert stiff.sum() > 10
    scatter = np.sqrt((spread.var(axis=0) + wanted_spread.var(axis=0)) / COPIES)
    assert (np.abs(spread.mean(0) - wanted_spread.mean(0)) < 5 * scatter + 1e-4)[stiff].all()


def test_the_temperature_is_right(copies: CompiledCopies, glycine: Peptide, start: np.ndarray) -> None:
    """Kinetic energy of 16 copies, 60 times, 0.8 ps apart: of 57 - 10 = 47 degrees of freedom each."""
    from openmm import unit

    from mlff.sampling.trajectories.copies import copies_system

    system = copies_system(glycine.topology, CONFIG, None)
    masses = np.array([system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(system.getNumParticles())])
    freedom = 3 * len(masses) - system.getNumConstraints()
    copies.start(start, None, 4)
    copies.run(500)
    kinetic = []
    for _ in range(60):
        copies.run(200)
        kinetic.append(0.5 * (masses[:, None] * copies.velocities() ** 2).sum(axis=(1, 2)))
    kt = 2 * np.mean(kinetic) / freedom / 8.314462618e-3
    # Relative spread of one kinetic energy: sqrt(2 / freedom); neighbours in time are nearly independent.
    assert kt == pytest.approx(300.0, abs=4 * 300 * np.sqrt(2 / freedom / (COPIES * 60)) + 3)


def test_torn_molecules_are_errors(copies: CompiledCopies, start: np.ndarray) -> None:
    torn = start.copy()
    torn[1, 1] = torn[1, 0] + 1e-6
    copies.start(torn, None, 1)
    with pytest.raises(RunError, match="copy 1 is torn apart"):
        copies.run(50)


def test_a_missing_compiler_is_an_error(
    glycine: Peptide, start: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch._inductor

    def failing(*_: object) -> None:
        raise RuntimeError("no working C++ compiler\nmore words")

    monkeypatch.setattr(torch._inductor, "compile", failing)
    copies = CompiledCopies(glycine, COPIES, CONFIG)
    copies.start(start, None, 1)
    with pytest.raises(InputError, match=r"compiled \(no working C\+\+ compiler\).*platform CPU"):
        copies.run(1)
    # No attempt is repeated, and no shorter time step recommended.
    config = GenerationConfig(systems=(SystemConfig(sequence="G"),), trajectories=3, copies=3, platform="torch")
    (group,) = groups_of(config, config.systems[0])
    with pytest.raises(InputError, match=r"^the dynamics cannot be compiled"):
        make_chunk(config, group, 0, tmp_path, lambda frames: None)


def test_a_data_set_is_made_continued_and_the_same_again(tmp_path: Path) -> None:
    config = GenerationConfig(
        systems=(SystemConfig(sequence="G"),),
        trajectories=4,
        length=1e-3,
        frame_interval=0.1,
        equilibration=0.2,
        copies=4,
        chunk=0.5,
        platform="torch",
    )
    assert generate(config, tmp_path / "whole")["complete"]
    generate(config.model_copy(update={"length": 5e-4}), tmp_path / "parts")
    generate(config, tmp_path / "parts")
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").glob("*/*.xtc")]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    (system,) = load_dataset(tmp_path / "whole")
    assert [len(trajectory.atoms) for trajectory in system.trajectories] == [10] * 4
    assert torch.isfinite(system.trajectories[0].atoms).all()
