"""Labels of frames made by tests."""

from __future__ import annotations

import numpy as np


def labels_of(energy: float, forces: np.ndarray, stress: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """As :class:`mlff.data.Frame` takes them."""
    labels = {"energy": np.asarray(energy, dtype=float), "forces": np.asarray(forces, dtype=float)}
    return labels if stress is None else {**labels, "stress": stress}
