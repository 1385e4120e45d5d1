"""Jumps against OpenMM: what is counted is what was moved, and what follows from speeds is arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.toy_jump import toy_jump

pytest.importorskip("openmm")
pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("PeptideBuilder", reason="the extra 'equijump' brings it")

import mlff
from benchmarks.jump_molecule import chosen_lag, conditions, minimised, read_molecule
from benchmarks.speed.break_even import SlowTimes, break_even, independent_per_second, read_slow_times
from benchmarks.speed.crew import CopiedDynamics, Job, Jumps, PlainDynamics
from benchmarks.speed.jump_verdict import judge
from benchmarks.speed.jumps import main

DIPEPTIDE = Path(__file__).resolve().parents[2] / "examples" / "alanine_dipeptide.pdb"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mlff.export_jump(toy_jump([10.0]), tmp_path_factory.mktemp("model") / "model.pt")


@pytest.fixture(scope="module")
def job(model: Path) -> Job:
    config = conditions(())
    whole = minimised(read_molecule(DIPEPTIDE), config)
    return Job(DIPEPTIDE, whole.peptide.positions, config, mlff.load_jump(model), 10.0, None, 3)


def test_the_model_pays_where_both_ways_cost_the_same() -> None:
    point = break_even(30.0, md=0.02, model=0.5, units=2, slow=None)
    assert point.ns is not None
    by_md, by_model = (2 * point.ns / speed / 3600 for speed in (0.02, 0.5))
    assert by_md == pytest.approx(30.0 + by_model)
    assert point.hours == pytest.approx(by_md)
    # An infinitely fast model pays when MD would have taken the hours of data and training.
    assert break_even(30.0, 0.02, 1e12, 2, None).hours == pytest.approx(30.0)
    assert break_even(0.0, 0.02, 0.5, 2, None).ns == 0.0
    # Twice the units at the same total speed are twice the cost of MD.
    assert break_even(30.0, 0.02, 0.5, 4, None).ns == pytest.approx(point.ns / 2)
    assert break_even(30.0, 0.02, 0.02, 2, None).ns is None
    with pytest.raises(ValueError, match="negative"):
        break_even(-1.0, 0.02, 0.5, 2, None)


def test_slow_kinetics_eat_up_speed() -> None:
    """A model ten times as fast whose process takes ten times as long gains nothing."""
    assert independent_per_second(0.2, 50.0) == pytest.approx(2.0)  # 200 ps, a sample every 100 ps
    assert independent_per_second(2.0, 500.0) == pytest.approx(independent_per_second(0.2, 50.0))
    assert break_even(1.0, 0.2, 2.0, 1, SlowTimes(50.0, 500.0)).ns is None
    same = break_even(1.0, 0.2, 2.0, 1, SlowTimes(50.0, 50.0))
    assert same == break_even(1.0, 0.2, 2.0, 1, None)
    # The length is that of MD: a model with faster kinetics needs less trajectory for as many samples.
    assert break_even(1.0, 0.2, 2.0, 1, SlowTimes(50.0, 25.0)) == break_even(1.0, 0.2, 4.0, 1, None)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive time"):
            SlowTimes(wrong, 1.0)


def test_ratios_are_to_the_fastest_dynamics() -> None:
    speeds = {"jumps, batch 1": 0.2, "jumps, batch 64": 1.5, "OpenMM, one copy": 0.01, "OpenMM, 8 copies": 0.03}
    rows: list[dict[str, Any]] = [
        {"name": name, "kind": kind, "ns_per_second": speed}
        for (name, speed), kind in zip(speeds.items(), ("jumps", "jumps", "plain dynamics", "copies"), strict=True)
    ]
    best = judge(rows, SlowTimes(40.0, 80.0))
    assert (best["model"], best["dynamics"]) == ("jumps, batch 64", "OpenMM, 8 copies")
    assert best["ratio"] == pytest.approx(50.0)
    assert best["ratio_to_one_copy"] == pytest.approx(150.0)
    assert best["ratio_of_independent_samples"] == pytest.approx(25.0)


def test_openmm_moves_for_as_long_as_is_counted(job: Job) -> None:
    """Every copy moves, by itself, and OpenMM's clock agrees."""
    molecule = read_molecule(DIPEPTIDE)
    runner = CopiedDynamics(job, molecule, 3, 0)
    runner.run(2)
    time = runner.copies._context.getTime().value_in_unit_system(_md_units())
    assert 3 * time == pytest.approx(2 * runner.unit)
    moved = runner.copies.positions()
    assert np.abs(moved[0] - moved[1]).max() > 0.01
    plain = PlainDynamics(job, molecule, 1, 0)
    plain.run(2)
    step, _ = next(plain._frames)
    assert step * 1e-3 * job.config.dynamics.time_step == pytest.approx(3 * plain.unit)


def _md_units() -> Any:
    from openmm import unit

    return unit.md_unit_system


def test_a_turn_of_jumps_is_a_rollout(job: Job) -> None:
    molecule = read_molecule(DIPEPTIDE)
    runner = Jumps(job, molecule, 2, 1)
    runner.run(3)
    assert runner.unit == 20.0
    cloud = molecule.layout.cloud(torch.from_numpy(job.positions[molecule.heavy]).expand(2, -1, -1))
    generator = torch.Generator().manual_seed(job.seed + 1)
    for _ in range(3):
        cloud = job.model.jump(cloud, 10.0, generator=generator)
    torch.testing.assert_close(runner.cloud.coordinates, cloud.coordinates)
    assert not torch.equal(cloud.coordinates[0], cloud.coordinates[1])


def test_the_command_measures_judges_and_writes(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    report, output = tmp_path / "report.json", tmp_path / "result.json"
    times = {"reference": {"tic1_relaxation_ps": 40.0}, "generated": {"tic1_relaxation_ps": 20.0}}
    report.write_text(json.dumps({"independent_samples": times}))
    arguments = [
        DIPEPTIDE,
        "--model",
        model,
        "-o",
        output,
        "--batches",
        1,
        4,
        "--copies",
        2,
        "--compiled-copies",
        2,
        "--processes",
        1,
    ]
    arguments += ["--repeats", 2, "--turn", 0.01, "--report", report, "--data-hours", 3, "--training-hours", 1]
    assert main(list(map(str, arguments))) == 0
    record = json.loads(output.read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert list(rows) == [
        "jumps, batch 1",
        "jumps, batch 4",
        "OpenMM, one copy",
        "OpenMM, 2 copies",
        "PyTorch, 2 copies",
    ]
    assert record["molecule"]["atoms"] == 22
    assert record["molecule"]["heavy_atoms"] == 10
    for row in record["rows"]:
        assert row["lowest_ns_per_second"] <= row["ns_per_second"] <= row["highest_ns_per_second"]
        assert not row["exploded"]
        slow = 20.0 if row["kind"] == "jumps" else 40.0
        assert row["independent_samples_per_second"] == pytest.approx(1e3 * row["ns_per_second"] / (2 * slow))
    best = record["best"]
    expected = rows[best["model"]]["ns_per_second"] / rows[best["dynamics"]]["ns_per_second"]
    assert best["ratio"] == pytest.approx(expected)
    assert best["ratio_of_independent_samples"] == pytest.approx(2 * expected)
    assert record["break_even"]["unit"] == "core hours"
    point = record["break_even"]["against"][best["dynamics"]]
    per_ns = 1 / rows[best["dynamics"]]["ns_per_second"] / 3600
    # A toy jumps fast; each of its ns is worth two.
    assert point["ns"] == pytest.approx(4.0 / (per_ns - per_ns / (2 * expected)))
    assert "the model pays from" in capsys.readouterr().out


def test_conditions_are_those_of_the_training_data() -> None:
    known = {"temperature": 340.0, "time_step": 2.0, "friction": 0.5, "solvent": "none", "force_field": "amber14"}
    config = conditions([known])
    assert (config.temperature, config.solvent) == (340.0, "none")
    assert (config.dynamics.time_step, config.dynamics.friction) == (2.0, 0.5)
    assert config.dynamics.constraints == "h-bonds"
    assert conditions([known], temperature=300.0, time_step=4.0).dynamics.time_step == 4.0
    # Two sets of conditions are none that could be chosen.
    assert conditions([known, known]).temperature == 300.0


def test_wrong_input_is_one_clear_error(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    several = mlff.load_jump(mlff.export_jump(toy_jump([10.0, 20.0]), tmp_path / "two.pt"))
    with pytest.raises(ValueError, match=r"two\.pt.*10, 20 ps.*--lag"):
        chosen_lag(several, None)
    assert chosen_lag(several, 20.0) == 20.0
    assert main([str(tmp_path / "absent.pdb"), "--model", str(model)]) == 2
    assert "absent.pdb: cannot be read" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit):
        main([str(DIPEPTIDE), "--model", str(model), "--slow-time-md", "10"])
    report = tmp_path / "report.json"
    with pytest.raises(ValueError, match="cannot be read"):
        read_slow_times(report)
    report.write_text("{}")
    with pytest.raises(ValueError, match=r"no report\.json of equijump analyze"):
        read_slow_times(report)
    found = {"reference": {"tic1_relaxation_ps": 10.0}, "generated": {"tic1_relaxation_ps": None}}
    report.write_text(json.dumps({"independent_samples": found}))
    with pytest.raises(ValueError, match="of the generated ensemble; give --slow-time-md"):
        read_slow_times(report)
