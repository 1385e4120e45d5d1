"""Small trajectories of molecules that tremble, in files as a user might have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mlff.proteins.residues import RESIDUE_NAMES, channel_names
from support.peptide_structures import heavy_trajectory
from support.protein_structures import AMINO_ACIDS, mdtraj, topology_of

LETTERS = dict(zip(AMINO_ACIDS, "ARNDCQEGHILKMFPSTWYV", strict=True))


def peptide_topology(sequence: list[str]) -> mdtraj.Topology:
    """Heavy atoms of one chain, OXT left out."""
    tokens = {name: RESIDUE_NAMES.index(name) for name in sequence}
    return topology_of([[(n, [a for a in channel_names(tokens[n]) if a not in ("", "OXT")]) for n in sequence]])


def trembling(topology: mdtraj.Topology, frames: int, rng: np.random.Generator) -> np.ndarray:
    """[frames, atoms, 3] in Å of a capped peptide, atoms in any order, 0.04 Å about one structure; others astray."""
    built = heavy_trajectory("".join(LETTERS.get(residue.name, "") for residue in topology.residues))
    where = {(atom.residue.index, atom.name): 10 * built.xyz[0, atom.index] for atom in built.topology.atoms}
    xyz = [where.get((atom.residue.index, atom.name), rng.normal(size=3)) for atom in topology.atoms]
    return np.array(xyz) + 0.04 * rng.normal(size=(frames, len(xyz), 3))


def write_system(
    folder: Path,
    sequence: tuple[str, ...] = ("ACE", "ALA", "NME"),
    frames: tuple[int, ...] = (40, 30, 20),
    splits: tuple[str, ...] = ("train", "val", "test"),
    interval: float = 0.5,
    name: str = "system",
    coordinates: list[np.ndarray] | None = None,
    **fields: Any,
) -> Path:
    """A description ``name.yaml`` with topology and XTC files beside it; coordinates in Å of capped peptides."""
    folder.mkdir(parents=True, exist_ok=True)
    topology = peptide_topology(list(sequence))
    rng = np.random.default_rng(len(sequence))
    coordinates = coordinates or [trembling(topology, number, rng) for number in frames]
    entries = []
    for k, (xyz, split) in enumerate(zip(coordinates, splits, strict=True)):
        file = f"{name}_{k}.xtc"
        time = interval * np.arange(len(xyz))
        mdtraj.Trajectory((xyz / 10).astype(np.float32), topology, time=time).save_xtc(str(folder / file))
        entries.append({"file": file, "split": split})
    mdtraj.Trajectory((coordinates[0][:1] / 10).astype(np.float32), topology).save_pdb(str(folder / f"{name}.pdb"))
    content = {"topology": f"{name}.pdb", "frame_interval": interval, "trajectories": entries, **fields}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
