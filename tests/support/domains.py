"""Domains of toy models, measured on structures as a training would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from mlff.data import Frame, GraphDataset
from mlff.potential.training.domain import domain_of
from support.labels import labels_of


def domain_of_atoms(
    structures: Sequence[Atoms],
    cutoff: float = 4.0,
    force: float = 5.0,
    trained_on: Sequence[str] = ("energy", "forces"),
) -> dict[str, Any]:
    """As ``metadata={"domain": ...}`` of an export takes it; ``force`` in eV/Å is the largest of the labels."""
    forces = [np.full((len(atoms), 3), force / np.sqrt(3.0)) for atoms in structures]
    frames = [Frame(atoms, labels_of(0.0, f)) for atoms, f in zip(structures, forces, strict=True)]
    return domain_of(GraphDataset(frames, cutoff), trained_on).model_dump(mode="json")
