"""Whether data are still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from mlff.trajectories.reading import SystemData


def fingerprint(systems: Sequence[SystemData]) -> str:
    """16 hexadecimal digits that change with any frame, trajectory, split, interval, name or the order of systems.

    Where the files lie does not matter.
    """
    digest = hashlib.sha256()
    for system in systems:
        trajectories = [(t.name, t.split, len(t.atoms)) for t in system.trajectories]
        channels = np.ascontiguousarray(system.layout.channels.numpy())
        about = [system.name, system.sequence, system.split, system.frame_interval, trajectories, channels.tolist()]
        digest.update(json.dumps(about).encode())
        digest.update(np.ascontiguousarray(system.atoms.numpy()).data)
    return digest.hexdigest()[:16]
