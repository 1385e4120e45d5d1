"""What a run leaves that must not depend on how often it was interrupted."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from ase.io import read
from ase.io.trajectory import Trajectory

from md_drivers.common.trajectory_files import dcd_header_size
from mlff.training.checkpointing import load_weights

_CLOCKS = ("minutes", "frames_per_second", "pairs_per_second", "seconds")


def leftovers(folder: Path) -> list[str]:
    """Locks and temporary files."""
    return [path.name for path in folder.rglob("*") if path.name == ".lock" or path.suffix == ".tmp"]


def trained(folder: Path) -> dict[str, Any]:
    """Weights, table without clocks, and whether the report is there."""
    weights = load_weights(folder / "weights.safetensors")[0]
    with open(folder / "metrics.csv", newline="") as file:
        rows = [{name: text for name, text in row.items() if name not in _CLOCKS} for row in csv.DictReader(file)]
    hashes = {name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in weights.items()}
    return {"weights": hashes, "table": rows, "report": (folder / "report" / "metrics.json").exists()}


def files(*patterns: str) -> Callable[[Path], dict[str, Any]]:
    """SHA-256 of the files that fit; of DCD files without the date in their header."""

    def digests(folder: Path) -> dict[str, Any]:
        found = {}
        for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
            content = path.read_bytes()
            if path.suffix == ".dcd":
                content = content[8:12] + content[dcd_header_size(content[:4096]) :]
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
        return found

    return digests


def generated(folder: Path) -> dict[str, Any]:
    """Trajectories, structures, and records without clocks."""
    digests = files("*/*.xtc", "*/*.pdb")(folder)
    for path in folder.glob("*/system.json"):
        digests[path.name] = json.loads(path.read_text(), object_hook=_without_clocks)
    return digests


def _without_clocks(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in ("wall_seconds", "ns_per_day_and_process")}


def energies(folder: Path) -> list[float]:
    """Of the frames of a relaxation, eV; none where nothing can be read."""
    paths = [path for path in folder.glob("*/trajectory.traj") if path.stat().st_size]
    if not paths:
        return []
    try:
        with Trajectory(paths[0]) as frames:
            return [frame.get_potential_energy() for frame in frames]
    except Exception:  # ASE raises whatever a torn file leads to
        return []


def relaxed(folder: Path) -> dict[str, Any]:
    """Number of frames, those doubled, whether the structure is that of the last frame, and the summary's steps."""
    found = energies(folder)
    summary = json.loads((folder / "summary.json").read_text())
    (structure,) = (read(path) for path in folder.glob("*/relaxed.extxyz"))
    return {
        "frames": len(found),
        "doubled": sum(a == b for a, b in pairwise(found)),
        "the structure is the last frame": abs(structure.get_potential_energy() - found[-1]) < 1e-6,
        "steps": [entry["steps"] for entry in summary["structures"]],
    }
