"""The benchmark of long simulations, shortened: it goes through, judges, and goes on with what is there."""

from __future__ import annotations

import json

import pytest
import torch
from support.toy_potential import export_toy

pytest.importorskip("openmm")
pytest.importorskip("PeptideBuilder", reason="the extra 'peptides' brings it")


def test_it_runs_and_goes_on(tmp_path, capsys):
    from benchmarks.stability.__main__ import main

    model = export_toy(tmp_path / "toy.pt", (1, 6, 7, 8), dtype=torch.float64)
    output, work = tmp_path / "result.json", tmp_path / "work"
    arguments = ["--model", str(model), "-o", str(output), "--work", str(work), "--nve", "0.1", "--nvt", "0.1"]
    arguments += ["--equilibration", "0.1"]
    arguments += ["--residues", "T", "I"]
    assert main(arguments) == 0
    record = json.loads(output.read_text())
    assert record["nve"]["system"] == "ACE-ALA-NME"
    # The toy potential knows no bonds, and starts hot.
    assert not record["nve"]["passed"]
    row = record["nvt"]
    assert row["systems"] == ["ACE-THR-NME", "ACE-ILE-NME"]
    assert not row["passed"]
    assert row.get("broken_bonds") or "failure" in row
    assert len(record["sha256"]) == 64
    before = (work / "nve" / "trajectory.dcd").read_bytes()
    assert main([*arguments, "--only", "nve"]) == 0
    assert (work / "nve" / "trajectory.dcd").read_bytes() == before
    assert "MISSED" in capsys.readouterr().out
