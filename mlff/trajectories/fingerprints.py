"""What a trained model says about the trajectories that it learned from, and whether data are still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mlff.support.files import sha256_of
from mlff.trajectories.format import SYSTEM_FILE
from mlff.trajectories.reading import SystemData


def provenance(systems: Iterable[SystemData]) -> list[dict[str, Any]]:
    """Of each system with training frames, as the data are now: name, sequence, training frames, their interval in ps.

    Systems with a folder of their own have the SHA-256 of its description, too.

    Raises:
        OSError: a description cannot be read.
    """
    found: list[dict[str, Any]] = []
    for system in systems:
        frames = sum(len(trajectory.atoms) for trajectory in system.trajectories if trajectory.split == "train")
        if not frames:
            continue
        about: dict[str, Any] = {"name": system.name, "sequence": system.sequence, "frames": frames}
        about["frame_interval_ps"] = system.frame_interval
        record = system.folder / SYSTEM_FILE
        found.append(about | ({"sha256": sha256_of(record)} if record.exists() else {}))
    return found


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
