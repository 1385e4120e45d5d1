"""Ratios of bonds: hydrogens apart, margins in standard deviations, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.data import covalent_radii
from ase.io import write

from benchmarks.bond_ratios import main, margins
from mlff.proteins.integrity import LONGEST, SHORTEST


def test_margins_are_standard_deviations_of_the_weakest_bond() -> None:
    atoms = molecule("CO")
    radii = covalent_radii[atoms.numbers].sum()
    lengths = radii * (1.0 + 0.05 * np.array([-1.0, 1.0]))
    frames = np.zeros((2, 2, 3))
    frames[:, 1, 2] = lengths
    (row,) = margins("CO", atoms.numbers, frames)
    assert row["bonds"] == "heavy"
    assert (row["shortest"], row["longest"]) == pytest.approx((0.95, 1.05))
    assert row["margin_below"] == pytest.approx((1.0 - SHORTEST) / 0.05)
    assert row["margin_above"] == pytest.approx((LONGEST - 1.0) / 0.05)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [molecule("CH3OH") for _ in range(5)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.01, seed=k)
    write(tmp_path / "x.xyz", frames, format="extxyz")
    assert main([str(tmp_path / "x.xyz"), "-o", str(tmp_path / "x.json")]) == 0
    rows = json.loads((tmp_path / "x.json").read_text())["rows"]
    assert [row["bonds"] for row in rows] == ["heavy", "hydrogen"]
    assert "margin" in capsys.readouterr().out
    write(tmp_path / "y.xyz", [molecule("H2O"), molecule("CO2")], format="extxyz")
    assert main([str(tmp_path / "y.xyz")]) == 2
    assert "several molecules" in capsys.readouterr().err
