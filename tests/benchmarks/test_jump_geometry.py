"""Geometry of single jumps: frames that differ as told give the figures that they should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.toy_jump import toy_jump

mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")
pytest.importorskip("PeptideBuilder", reason="the extra 'equijump' brings it")

from support.fluctuating import FLUCTUATION, fluctuating_data  # noqa: E402

import mlff  # noqa: E402
from benchmarks.jump_geometry import main  # noqa: E402


def test_dynamics_have_the_spread_that_was_put_in_and_noisy_jumps_more(tmp_path: Path) -> None:
    data = fluctuating_data(tmp_path / "data", "test")
    model = mlff.export_jump(toy_jump([10.0], sigma=0.1), tmp_path / "model.pt")
    output = tmp_path / "geometry.json"
    arguments = [
        str(data / "ACE-ALA-NME"),
        "--model",
        str(model),
        "--jumps",
        "400",
        "--latent-steps",
        "3",
        "-o",
        str(output),
    ]
    assert main(arguments) == 0
    means = json.loads(output.read_text())["means"]
    # two atoms along the bond; two independent frames of nine atoms and more, less their best superposition
    assert means["dynamics"]["bond_spread"] == pytest.approx(2**0.5 * FLUCTUATION, rel=0.05)
    assert means["dynamics"]["displacement"] == pytest.approx(6 * FLUCTUATION**2 * (1 - 6 / 30), rel=0.05)
    assert means["3 latent steps"]["bond_spread"] > 1.2 * means["dynamics"]["bond_spread"]
    assert means["3 latent steps"]["valid"] < means["dynamics"]["valid"]


def test_without_held_out_frames_there_is_nothing_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = fluctuating_data(tmp_path / "data", "train")
    model = mlff.export_jump(toy_jump([10.0]), tmp_path / "model.pt")
    assert main([str(data / "ACE-ALA-NME"), "--model", str(model), "--unseen"]) == 2
    assert "no frames there are held out" in capsys.readouterr().err.replace("\n", " ")
