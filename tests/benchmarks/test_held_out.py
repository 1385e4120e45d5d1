"""Jumps of molecules that training never saw: what is compared with what."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.toy_jump import toy_jump

mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")
pytest.importorskip("PeptideBuilder", reason="the extra 'equijump' brings it")

from support.fluctuating import fluctuating_data  # noqa: E402

import mlff  # noqa: E402
from benchmarks.held_out import main  # noqa: E402


def test_rollouts_begin_where_the_dynamics_began_and_are_as_long(tmp_path: Path) -> None:
    data = fluctuating_data(tmp_path / "data", "test")
    # Of each file, the first 280 ps only.
    path = data / "ACE-ALA-NME" / "system.json"
    record = json.loads(path.read_text())
    record["trajectories"] = [{"file": name, "frames": 57} for name in record["trajectories"]]
    path.write_text(json.dumps(record))
    model = mlff.export_jump(toy_jump([10.0], sigma=0.02), tmp_path / "model.pt")
    output = tmp_path / "out"
    assert main([str(data), "--model", str(model), "--replicas-per-start", "2", "-o", str(output)]) == 0
    result = json.loads((output / "held_out.json").read_text())
    (row,) = result["rows"]
    assert row["molecule"] == "ACE-ALA-NME"
    assert row["simulated_ns"] == pytest.approx(20 * 0.280)
    assert row["valid"]["dynamics"] is not None
    assert row["tic1"]["value"] >= 0
    assert set(row["processes"]) == set(result["medians_of_processes"]) <= {"t1", "t2", "t3"}
    assert 0 <= row["outside"]["reference"] <= row["outside"]["generated"] <= 1  # one basin, and jumps at random
    starts = mdtraj.load(output / "ACE-ALA-NME" / "starts.pdb")
    first = [mdtraj.load(data / "ACE-ALA-NME" / f"{k}.xtc", top=starts.topology)[0].xyz[0] for k in range(10)]
    np.testing.assert_allclose(starts.xyz, np.stack(first), atol=2e-4)
    made = [
        mdtraj.load(output / "ACE-ALA-NME" / "rollout" / f"replica_{k:03}.xtc", top=starts.topology) for k in (3, 13)
    ]
    for trajectory in made:
        assert len(trajectory) == 28
        assert np.abs(trajectory.xyz[0] - starts.xyz[3]).max() < 0.05
    assert (output / "held_out.png").stat().st_size > 0
    assert (output / "ACE-ALA-NME" / "report" / "index.html").exists()


def test_data_without_a_held_out_molecule_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = fluctuating_data(tmp_path / "data", "train")
    model = mlff.export_jump(toy_jump([10.0]), tmp_path / "model.pt")
    assert main([str(data), "--model", str(model), "-o", str(tmp_path / "out")]) == 2
    assert "held out" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
