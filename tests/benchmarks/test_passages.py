"""Passages of φ: what counts as one, and how many there are of a known process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")
pytest.importorskip("PeptideBuilder", reason="the extra 'equijump' brings it")

from support.fluctuating import fluctuating_data

from benchmarks.passages import counted, main, one_in, states


def test_a_look_across_the_barrier_is_no_passage() -> None:
    angles = np.array([0.0, -60.0, 10.0, -20.0, -80.0, 60.0, 150.0, 60.0, -175.0, -100.0])
    assert states(angles).tolist() == [-1, 0, 0, 0, 0, 1, 1, 1, 1, 0]
    found = counted([angles, -np.abs(angles)], 10.0)
    assert found["entries"] == {"number": 1, "ns": pytest.approx(0.01 * (5 + 9))}
    assert found["exits"] == {"number": 1, "ns": pytest.approx(0.04)}
    assert one_in({"number": 4, "ns": 8.0}) == "2.00 ± 1.00"
    assert one_in({"number": 0, "ns": 8.0}) == "none"


def test_rates_of_a_known_process_are_found() -> None:
    """Left with 0.02 and entered with 0.005 a frame, in trajectories shorter than that."""
    rng, trajectories = np.random.default_rng(0), []
    for _ in range(400):
        state, angles = int(rng.random() < 0.2), []
        for draw in rng.random(100):
            angles.append((-80.0, 60.0)[state] + 10.0 * rng.normal())
            state = 1 - state if draw < (0.005, 0.02)[state] else state
        trajectories.append(np.array(angles))
    found = counted(trajectories, 10.0)
    for name, rate in (("exits", 0.02), ("entries", 0.005)):
        expected = found[name]["ns"] / 0.01 * rate
        assert abs(found[name]["number"] - expected) < 3 * expected**0.5 + 0.02 * expected


def test_the_command_counts_at_one_interval(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = fluctuating_data(tmp_path / "data", "train") / "ACE-ALA-NME"
    output = tmp_path / "passages.json"
    assert main([str(data), "-o", str(output)]) == 0
    (row,) = json.loads(output.read_text())["rows"].values()
    assert row["torsion"] == "phi ALA 2"
    assert row["exits"]["number"] == row["entries"]["number"] == 0
    assert row["exits"]["ns"] + row["entries"]["ns"] == pytest.approx(10 * 30 * 0.01)  # of 60 frames 5 ps apart
    capsys.readouterr()
    for wrong, message in (
        ([str(tmp_path / "nothing")], "nothing"),
        ([str(data), "--interval", "7"], "frames are 5 ps apart"),
        ([str(data), "--torsion", "phi GLY 9"], "it has phi ALA 2"),
    ):
        assert main(wrong) == 2
        assert message in " ".join(capsys.readouterr().err.split())
