"""The figures of simulations and rollouts, and the ticks of logarithmic axes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.openmm_systems import ROOT

from md_drivers.common import figures
from md_drivers.jumps import figures as of_jumps
from md_drivers.openmm.simulation import figures as of_dynamics
from mlff.support.ticks import log_axis


def test_every_frame_and_residue_is_counted_at_its_angles(monkeypatch, tmp_path):
    mdtraj = pytest.importorskip("mdtraj")
    start = mdtraj.load(str(ROOT / "examples" / "alanine_dipeptide.pdb"))
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "write_figure", lambda path, figure: drawn.append(figure))
    figures.draw_ramachandran(tmp_path / "r.png", start.topology, [10 * start.xyz.repeat(count, 0) for count in (2, 3)])
    axes = drawn[0].axes[0]
    counts = axes.collections[0].get_array().filled(0).reshape(72, 72)  # psi, phi
    (psi,), (phi,) = np.nonzero(counts)
    assert counts[psi, phi] == 5
    for place, compute in ((phi, mdtraj.compute_phi), (psi, mdtraj.compute_psi)):
        assert -180 + 5 * place <= np.degrees(compute(start)[1].item()) <= -175 + 5 * place
    assert axes.get_title() == "5 frames, 1 residue"


def test_nothing_is_drawn_without_a_backbone(tmp_path):
    mdtraj = pytest.importorskip("mdtraj")
    start = mdtraj.load(str(ROOT / "examples" / "alanine_dipeptide.pdb"))
    part = start.atom_slice(start.topology.select("resname ACE"))
    figures.draw_ramachandran(tmp_path / "r.png", part.topology, [10 * part.xyz])
    assert not list(tmp_path.iterdir())


def words(figure: Figure) -> list[str]:
    legends = [axes.get_legend() for axes in figure.axes] + figure.legends
    return [text.get_text() for legend in legends if legend is not None for text in legend.get_texts()]


@pytest.mark.parametrize(("target", "last"), [(None, "mean, 300.0 K"), (310.0, "target, 310 K")])
def test_temperatures_have_words(monkeypatch, tmp_path, target, last):
    drawn: list[Figure] = []
    monkeypatch.setattr(of_dynamics, "write_figure", lambda path, figure: drawn.append(figure))
    table = {f"{name}_eV": np.zeros(3) for name in ("potential", "kinetic", "total")}
    table |= {"time_ps": np.arange(3.0), "temperature_K": np.array([290.0, 310.0, 300.0])}
    of_dynamics.draw_state(tmp_path / "s.png", table, 22, target)
    assert words(drawn[0])[-1] == last
    assert len(words(drawn[0])) == sum(len(axes.lines) for axes in drawn[0].axes) - 1  # its axis names the temperature


@pytest.mark.parametrize("replicas", [1, 3, 12])
def test_replicas_have_numbers(monkeypatch, tmp_path, replicas):
    drawn: list[Figure] = []
    monkeypatch.setattr(of_jumps, "write_figure", lambda path, figure: drawn.append(figure))
    steps, numbers = np.arange(1.0, 5.0), np.arange(float(replicas))
    table = {"step": np.tile(steps, replicas), "replica": np.repeat(numbers, 4), "valid": np.ones(4 * replicas)}
    table |= {"time_ps": 10.0 * table["step"], "gyration_A": table["step"]}
    of_jumps._draw_course(tmp_path / "r.png", table)
    assert words(drawn[0]) == ([] if replicas == 1 else [str(k) for k in range(min(10, replicas))])
    assert len(drawn[0].axes[1].lines) == min(10, replicas)


def test_an_axis_that_is_linear_near_zero_says_so():
    axes = Figure().subplots()
    axes.plot([0, 100], [0, 1])
    axes.set_xlabel("lag (ps)")
    log_axis(axes, "x", linear_below=10)
    assert axes.get_xlabel() == "lag (ps); linear below 10"
    assert {0, 10, 20, 50, 100} <= set(axes.get_xticks())


@pytest.mark.parametrize(
    ("low", "high"), [(54.0, 170.0), (0.9, 2.5), (9.0, 14.5), (13e2, 17e2), (3.0, 800.0), (1e-3, 5e3)]
)
def test_logarithmic_axes_have_three_plain_ticks(low, high):
    axes = Figure().subplots()
    axes.plot([0, 1], [low, high])
    log_axis(axes, "y")
    bottom, top = axes.get_ylim()
    shown = [
        label.get_text()
        for label, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        if bottom <= place <= top
    ]
    assert len(shown) >= 3
    places = np.log([bottom, *map(float, shown), top])
    assert np.diff(places).max() < 0.45 * (places[-1] - places[0])  # no part of the axis without a tick
    assert all(float(f"{float(text):.2g}") == float(text) for text in shown)  # 1400, not 1350
    assert [float(text) for text in shown] == [place for place in axes.get_yticks() if bottom <= place <= top]
