"""One jump against many dynamics: the distance, the floor, the controls, and the dynamics themselves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation
from scipy.stats import energy_distance as energy_distance_1d
from support.toy_jump import toy_jump

pytest.importorskip("openmm")
pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")
pytest.importorskip("PeptideBuilder", reason="the extra 'equijump' brings it")

import mlff
from benchmarks.jump_molecule import conditions, read_molecule
from benchmarks.one_step.__main__ import jumped, main
from benchmarks.one_step.comparison import Space, StartResult, compare_start, energy_distance
from benchmarks.one_step.relaunches import Plan, Relaunches, run
from benchmarks.one_step.verdict import judge

DIPEPTIDE = Path(__file__).resolve().parents[2] / "examples" / "alanine_dipeptide.pdb"
BOLTZMANN = 8.314462618e-3  # kJ/mol/K, of a mole
OXYGEN_MASS = 15.999


@pytest.fixture(scope="module")
def space() -> Space:
    return Space(read_molecule(DIPEPTIDE).layout)


@pytest.fixture(scope="module")
def start() -> np.ndarray:
    whole = read_molecule(DIPEPTIDE)
    return whole.peptide.positions[whole.heavy]


def swaying(start: np.ndarray, count: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """Structures that move along three smooth modes of the chain, far from independent steps of the atoms."""
    along = np.linspace(-1, 1, len(start))
    modes = np.stack([along**2, np.sin(2 * along), along**3])
    return start + size * np.einsum("fki,ka->fai", rng.normal(size=(count, 3, 3)), modes)


def test_energy_distance_is_that_of_cumulative_distributions() -> None:
    """In one dimension it is twice the integral of (F - G)²; of two points it is twice their distance."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 1)), 0.7 + 2 * rng.normal(size=(30, 1))
    found = energy_distance(cdist(x, y), cdist(x, x), cdist(y, y))
    assert found == pytest.approx(energy_distance_1d(x[:, 0], y[:, 0]) ** 2)
    assert energy_distance(cdist(x, x), cdist(x, x), cdist(x, x)) == pytest.approx(0.0, abs=1e-12)
    point, other = np.zeros((5, 3)), np.array([[3.0, 0.0, 4.0]] * 5)
    assert energy_distance(cdist(point, other), cdist(point, point), cdist(other, other)) == 10.0


def test_only_the_shape_counts_and_mirror_images_are_another(space: Space, start: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    frames, jumps = swaying(start, 20, 0.2, rng), swaying(start, 20, 0.3, rng)
    rotations = Rotation.random(20, rng=rng).as_matrix()
    moved = jumps @ rotations.transpose(0, 2, 1) + rng.normal(scale=5.0, size=(20, 1, 3))

    def distances(others: np.ndarray) -> StartResult:
        return compare_start(space, start, frames, others, 3, np.random.default_rng(2))

    plain, turned, mirrored = distances(jumps), distances(moved), distances(jumps * [1, 1, -1])
    # Torsions go through single precision, and a value on the edge of a bin may fall on either side.
    np.testing.assert_allclose(turned.others["jumps"][:, 0], plain.others["jumps"][:, 0], atol=1e-6)
    np.testing.assert_allclose(turned.others["jumps"][:, 1], plain.others["jumps"][:, 1], atol=0.01)
    assert (mirrored.others["jumps"] > 3 * plain.others["jumps"]).all()


@pytest.mark.parametrize(("size", "passed"), [(0.3, True), (0.6, False), (0.15, False)])
def test_jumps_of_the_right_distribution_are_at_the_floor(
    space: Space, start: np.ndarray, size: float, passed: bool
) -> None:
    """Right: as MD, with other random numbers. Wrong: twice and half the width. The controls are wrong in any case."""
    rng = np.random.default_rng(3)
    results = [
        compare_start(space, start, swaying(start, 80, 0.3, rng), swaying(start, 80, size, rng), 10, rng)
        for _ in range(8)
    ]
    measures = judge(results, space.torsions.names, 0)
    distance = measures["energy distance"]
    assert distance["passed"] is passed
    assert (distance["ratio"] < 1.2) is passed
    low, high = distance["ratio_interval"]
    assert low <= distance["ratio"] <= high
    for row in (distance, measures["torsion JS divergence"]):
        assert row["no-op"] > 3 * row["floor"]
    assert distance["random walk"] > 1.6 * distance["floor"]  # as wide, but of independent atoms
    assert measures["torsion JS divergence"]["passed"] or not passed
    if passed:
        assert distance["ratio"] > 0.8
        assert distance["starts_better_than"]["no-op"] == 1.0


def test_broken_jumps_count_as_far_away(space: Space, start: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    frames, jumps = swaying(start, 20, 0.2, rng), swaying(start, 20, 0.2, rng)
    broken = jumps.copy()
    broken[:10, 3] = np.nan
    whole, half = (
        compare_start(space, start, frames, others, 10, np.random.default_rng(5)) for others in (jumps, broken)
    )
    assert np.isfinite(half.others["jumps"]).all()
    assert np.median(half.others["jumps"][:, 0]) > 5 * np.median(whole.others["jumps"][:, 0])


def test_jumps_after_each_other_are_a_walk(space: Space, start: np.ndarray) -> None:
    """Variances of independent steps add up; those of one walk for all copies, or of the first step only, do not."""
    layout, size = read_molecule(DIPEPTIDE).layout, 0.1

    class Walker:
        def jump(self, cloud, lag, *, generator, steps):  # type: ignore[no-untyped-def]
            atoms = layout.atoms(cloud)
            return layout.cloud(atoms + size * torch.randn(atoms.shape, generator=generator, dtype=atoms.dtype))

    for jumps in (1, 5):
        frames = jumped(Walker(), layout, start, 400, lag=1.0, jumps=jumps, steps=None, seed=0)  # type: ignore[arg-type]
        moved = frames - start
        assert moved.mean() == pytest.approx(0.0, abs=0.01)
        assert moved.var() == pytest.approx(jumps * size**2, rel=0.05)
        assert moved.mean(0).var() < 0.02 * moved.var()


# --- dynamics ---------------------------------------------------------------------------------------------------------

CHOICES = ["--starts", "3", "--relaunches", "100", "--spread", "0.2", "--equilibration", "0.2", "--copies", "2"]


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Of one time step, which is ballistic. As CHOICES."""
    config = conditions(()).model_copy(update={"copies": 2})
    return Plan(DIPEPTIDE, config, 0.004, 3, 100, 600.0, 0.2, 0.2, 0)


@pytest.fixture(scope="module")
def relaunches(plan: Plan) -> Relaunches:
    record = plan.record(hashlib.sha256(DIPEPTIDE.read_bytes()).hexdigest())
    return run(plan, record, processes=1, on_done=lambda: None)


def test_relaunches_have_thermal_velocities_and_noise(plan: Plan, relaunches: Relaunches) -> None:
    """After one step h of LangevinMiddle, positions have the variance kT/m h² (1 + exp(-γ h)) / 2 about their mean.

    The forces at the start are those of every relaunch. Tested on the difference of both oxygens, as copies are moved
    back to their centre; these are not constrained.
    """
    topology = read_molecule(DIPEPTIDE).layout.topology
    first, second = (atom.index for atom in topology.atoms if atom.element.symbol == "O")
    between = 0.1 * (relaunches.frames[:, :, first] - relaunches.frames[:, :, second])
    step = 1e-3 * plan.config.dynamics.time_step
    decay = np.exp(-plan.config.dynamics.friction * step)
    expected = 2 * BOLTZMANN * plan.config.temperature / OXYGEN_MASS * step**2 * (1 + decay) / 2
    assert between.var(axis=1, ddof=1).mean() == pytest.approx(expected, rel=0.2)
    # No two relaunches are the same, nor two starts.
    assert len(np.unique(relaunches.frames.reshape(300, -1).round(6), axis=0)) == 300
    assert np.abs(relaunches.starts[0] - relaunches.starts[1]).max() > 0.05
    moved = relaunches.frames - relaunches.starts[:, None]
    assert np.sqrt(np.square(moved - moved.mean(2, keepdims=True)).mean()) < 0.1


def test_the_command_judges_and_keeps_the_dynamics(
    relaunches: Relaunches, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model = mlff.export_jump(toy_jump([0.004], sigma=0.02), tmp_path / "model.pt")
    output = tmp_path / "out"
    arguments = [str(DIPEPTIDE), "--model", str(model), "-o", str(output), "--processes", "2", *CHOICES]
    assert main(arguments) == 0
    record = json.loads((output / "one_step.json").read_text())
    assert (output / "one_step.png").read_bytes().startswith(b"\x89PNG")
    kept = Relaunches.read(output / "relaunches.npz", relaunches.record)
    # The same with two processes as with one.
    np.testing.assert_allclose(kept.frames, relaunches.frames, atol=1e-6)
    assert record["broken_jumps"] == 0
    assert set(record["measures"]["torsions"]) == {"phi ALA 2", "psi ALA 2"}
    assert len(record["measures"]["energy distance"]["starts"]["jumps"]) == 3
    assert "MISSED" in capsys.readouterr().out  # random weights

    written = (output / "relaunches.npz").stat().st_mtime_ns
    again = record["measures"]
    assert main(arguments) == 0
    assert json.loads((output / "one_step.json").read_text())["measures"] == again
    assert (output / "relaunches.npz").stat().st_mtime_ns == written

    # Two jumps of half the lag are judged by the same dynamics.
    model = mlff.export_jump(toy_jump([0.002], sigma=0.02), tmp_path / "half.pt")
    arguments[2] = str(model)
    assert main([*arguments, "--jumps", "2"]) == 0
    record = json.loads((output / "one_step.json").read_text())
    assert (record["jumps"], record["lag_ps"]) == (2, 0.002)
    assert record["measures"]["energy distance"]["floor"] == again["energy distance"]["floor"]
    assert (output / "relaunches.npz").stat().st_mtime_ns == written
    capsys.readouterr()
    assert main([*arguments, "--jumps", "2", "--starts", "2"]) == 2
    assert "starts 3 instead of 2" in " ".join(capsys.readouterr().err.split())


def test_impossible_plans_are_named(plan: Plan, tmp_path: Path) -> None:
    config = plan.config
    with pytest.raises(ValueError, match="no whole number of time steps"):
        Plan(DIPEPTIDE, config, 0.005, 3, 100, 600.0, 0.2, 0.2, 0)
    with pytest.raises(ValueError, match="even number of at least 4"):
        Plan(DIPEPTIDE, config, 0.004, 3, 101, 600.0, 0.2, 0.2, 0)
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"bad\.npz: not a readable file of relaunches"):
        Relaunches.read(tmp_path / "bad.npz", {})
