"""The figure of backbone dihedrals that simulations and rollouts have in common."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.openmm_systems import ROOT

from md_drivers.common import figures


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
