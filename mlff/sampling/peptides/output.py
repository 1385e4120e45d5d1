"""The files of a finished data set: structures of each part, reference energies, provenance, figure, README."""

from __future__ import annotations

import gzip
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.io import write as write_structures

from mlff.sampling.peptides.config import PeptideDataConfig
from mlff.sampling.peptides.labels import METHOD, isolated_atom_energies
from mlff.sampling.peptides.shards import Shard, read_shard
from mlff.sampling.peptides.summary import Distributions, plot_summary
from mlff.sampling.residues import capped_name, total_charge
from mlff.support.files import replacing, write_text
from mlff.support.templates import render

_LOG = logging.getLogger(__name__)
PARTS = ("train", "val", "test")


def write_parts(
    config: PeptideDataConfig, shards: dict[str, Path], folder: Path, details: dict[str, Any]
) -> dict[str, Any]:
    """Write ``{train,val,test}.extxyz.gz`` as far as they have frames, ``isolated_atoms.extxyz``, ``summary.png``,
    ``README.md`` and last ``provenance.json``, whose content is returned.

    Raises:
        DataError: a shard is damaged.
        OSError: a file cannot be written.
    """
    references = isolated_atom_energies(config.labels)
    write_text(folder / "isolated_atoms.extxyz", _isolated_atoms(references))
    by_number = {atomic_numbers[symbol]: energy for symbol, energy in references.items()}
    # One gzip member for each peptide: the whole text would fill the memory.
    members: dict[str, list[bytes]] = {part: [] for part in PARTS}
    seen = {part: Distributions() for part in PARTS}
    peptides = {}
    for sequence, path in shards.items():
        shard = read_shard(path)
        for part, frames in _division(config, sequence, shard).items():
            members[part].append(gzip.compress(_extxyz(config, sequence, shard, frames).encode(), mtime=0))
            seen[part].add(shard, frames, sum(by_number[int(number)] for number in shard.numbers))
        peptides[capped_name(sequence)] = _peptide_record(config, sequence, shard)
    for part in filter(members.get, PARTS):
        with replacing(folder / f"{part}.extxyz.gz") as temporary:
            temporary.write_bytes(b"".join(members[part]))
    plot_summary(seen, folder / "summary.png")
    content = {
        "method": METHOD,
        "units": {"energy": "eV", "forces": "eV/A", "dipole": "e*A", "positions": "A", "charge": "e"},
        "frames": {part: len(seen[part].energy) for part in PARTS},
        "left_out": {
            "not_converged": sum(len(record["not_converged"]) for record in peptides.values()),
            "above_max_force": sum(record["above_max_force"] for record in peptides.values()),
        },
        "isolated_atoms": references,
        **details,
        "settings": config.model_dump(mode="json"),
        "peptides": peptides,
    }
    if content["left_out"]["not_converged"]:
        _LOG.warning("%d labels did not converge; provenance.json lists them", content["left_out"]["not_converged"])
    write_text(folder / "README.md", render("sampling/peptides/readme.md.j2", {**content, "config": config}))
    write_text(folder / "provenance.json", json.dumps(content, indent=1) + "\n")
    return content


def _division(config: PeptideDataConfig, sequence: str, shard: Shard) -> dict[str, np.ndarray]:
    """Frames of a peptide by part, ascending, without those of too large forces; parts without frames are absent."""
    usable = np.flatnonzero(shard.largest_forces <= config.max_force)
    if config.part(sequence) == "test":
        parts = {"test": usable}
    else:
        # Its own stream: trajectories have numbers below this.
        random = np.random.default_rng([config.seed, *sequence.encode(), 2**31])
        drawn = random.permutation(usable)[: round(config.val_fraction * len(usable))]
        parts = {"train": np.setdiff1d(usable, drawn), "val": np.sort(drawn)}
    return {part: frames for part, frames in parts.items() if len(frames)}


def _extxyz(config: PeptideDataConfig, sequence: str, shard: Shard, frames: np.ndarray) -> str:
    structures = []
    for frame in frames:
        trajectory = int(shard.trajectory[frame])
        run = config.trajectories[trajectory]
        info = {
            # Three letters each: extxyz reads a lone T or F as a truth value.
            "sequence": capped_name(sequence),
            "charge": total_charge(sequence),
            "temperature": run.temperature,
            "solvent": run.solvent,
            "run": f"{capped_name(sequence)}/{trajectory}",
            "step": int(shard.step[frame]),
            "noise": round(float(shard.noise[frame]), 6),
        }
        atoms = Atoms(numbers=shard.numbers, positions=shard.positions[frame], info=info)
        atoms.calc = SinglePointCalculator(
            atoms, energy=shard.energy[frame], forces=shard.forces[frame], dipole=shard.dipole[frame]
        )
        structures.append(atoms)
    return _text(structures)


def _isolated_atoms(energies: dict[str, float]) -> str:
    structures = []
    for symbol, energy in energies.items():
        atoms = Atoms(symbol)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((1, 3)))
        structures.append(atoms)
    return _text(structures)


def _text(structures: list[Atoms]) -> str:
    stream = io.StringIO()
    write_structures(stream, structures, format="extxyz")
    return stream.getvalue()


def _peptide_record(config: PeptideDataConfig, sequence: str, shard: Shard) -> dict[str, Any]:
    return {
        "part": config.part(sequence),
        "charge": total_charge(sequence),
        "atoms": len(shard.numbers),
        "labelled": len(shard.energy),
        "displaced": int((shard.noise > 0).sum()),
        "cis_or_d": int((~shard.regular).sum()),
        "largest_force": round(float(shard.largest_forces.max()), 3),
        "above_max_force": int((shard.largest_forces > config.max_force).sum()),
        "not_converged": shard.report["left_out"],
        "versions": shard.report["versions"],
    }
