"""Capped peptides as MDTraj trajectories."""

from __future__ import annotations

from typing import Any

import pytest

from mlff.sampling.peptides import capped_peptide

mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")


def heavy_trajectory(sequence: str) -> Any:
    """One frame of the heavy atoms of a capped peptide as built."""
    peptide = capped_peptide(sequence)
    topology = mdtraj.Topology.from_openmm(peptide.topology)
    heavy = [atom.index for atom in topology.atoms if atom.element.symbol != "H"]
    return mdtraj.Trajectory(peptide.positions[None] / 10, topology).atom_slice(heavy)
