"""All frames of one peptide: dynamics, displacements, labels, and the file that holds them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlff.sampling.building import Peptide, capped_peptide
from mlff.sampling.dynamics import minimise, sample
from mlff.sampling.geometry import Backbone, dihedral
from mlff.sampling.packages import package_versions
from mlff.sampling.peptides.config import PeptideDataConfig, RunConfig
from mlff.sampling.peptides.labels import Label, label
from mlff.sampling.residues import total_charge
from mlff.support.errors import NotConvergedError, RunError
from mlff.support.npz import read_npz, write_npz

_ATTEMPTS = 50

# Positions, label, trajectory, step, noise of one frame.
_Row = tuple[NDArray[np.float64], Label, int, int, float]


@dataclass(frozen=True)
class Shard:
    """Labelled frames of one peptide, M frames of N atoms and R residues.

    Attributes:
        numbers: [N] atomic numbers.
        positions: [M,N,3], Å.
        energy: [M], eV.
        forces: [M,N,3], eV/Å.
        dipole: [M,3], e·Å about the origin of the coordinates.
        trajectory: [M] number of the trajectory, an index into `PeptideDataConfig.trajectories`.
        step: [M] step of that trajectory.
        noise: [M] standard deviation of the displacement of its atoms, Å; 0 for none.
        phi, psi: [M,R], degrees.
        regular: [M] whether all peptide bonds are trans and all residues L.
        report: versions, and the frames that were left out.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    energy: NDArray[np.float64]
    forces: NDArray[np.float64]
    dipole: NDArray[np.float64]
    trajectory: NDArray[np.int64]
    step: NDArray[np.int64]
    noise: NDArray[np.float64]
    phi: NDArray[np.float64]
    psi: NDArray[np.float64]
    regular: NDArray[np.bool_]
    report: dict[str, Any]

    @property
    def largest_forces(self) -> NDArray[np.float64]:
        """Largest norm of a force on an atom of each frame, [M], eV/Å."""
        return np.linalg.norm(self.forces, axis=-1).max(axis=-1)


def make_shard(config: PeptideDataConfig, sequence: str, on_frame: Callable[[], None] | None = None) -> Shard:
    """Sample and label one peptide. The result depends on the configuration and the sequence only.

    Args:
        config: settings.
        sequence: one-letter codes.
        on_frame: called after each frame; an exception it raises ends the work.

    Raises:
        InputError: a package is missing.
        RunError: no usable start, exploding dynamics, or not one frame could be labelled.
    """
    charge = total_charge(sequence)
    rows: list[_Row] = []
    left_out: list[dict[str, object]] = []
    peptide = capped_peptide(sequence)
    numbers = np.array([atom.element.atomic_number for atom in peptide.topology.atoms()], dtype=np.int64)
    for trajectory, run in enumerate(config.trajectories):
        random = np.random.default_rng([config.seed, *sequence.encode(), trajectory])
        frames = sample(
            _start(sequence, run, random),
            run.solvent,
            run.temperature,
            interval=run.interval,
            equilibration=run.equilibration,
            seed=int(random.integers(2**31 - 1)),
            dynamics=config.dynamics,
        )
        for step, positions in islice(frames, config.frames_per_trajectory):
            noise = random.uniform(*config.noise_std) if random.random() < config.noise_fraction else 0.0
            moved = positions - positions.mean(axis=0) + noise * random.standard_normal(positions.shape)
            try:
                rows.append((moved, label(numbers, moved, charge, config.labels), trajectory, step, noise))
            except NotConvergedError as error:
                left_out.append({"trajectory": trajectory, "step": step, "noise": noise, "reason": str(error)})
            if on_frame is not None:
                on_frame()
    if not rows:
        raise RunError(f"not one of its {len(left_out)} frames could be labelled: {left_out[0]}")
    return _collected(peptide, numbers, rows, {"versions": package_versions(), "left_out": left_out})


def _start(sequence: str, run: RunConfig, random: np.random.Generator) -> Peptide:
    """A minimised structure with random phi and psi, trans and L."""
    for _ in range(_ATTEMPTS):
        drawn = random.uniform(-180.0, 180.0, size=(len(sequence), 2))
        start = minimise(capped_peptide(sequence, [(phi, psi) for phi, psi in drawn]), run.solvent)
        backbone = Backbone.of(start)
        # Atoms that start on top of each other may leave through each other.
        if backbone.all_l(start.positions) and backbone.all_trans(start.positions):
            return start
    raise RunError(f"no start with trans peptide bonds and L residues in {_ATTEMPTS} attempts")


def _collected(peptide: Peptide, numbers: NDArray[np.int64], rows: list[_Row], report: dict[str, Any]) -> Shard:
    all_positions, labels, trajectory, step, noise = zip(*rows, strict=True)
    positions = np.array(all_positions)
    energy, forces, dipole = (np.array(column) for column in zip(*labels, strict=True))
    backbone = Backbone.of(peptide)
    return Shard(
        numbers=numbers,
        positions=positions,
        energy=energy,
        forces=forces,
        dipole=dipole,
        trajectory=np.array(trajectory),
        step=np.array(step),
        noise=np.array(noise),
        phi=dihedral(positions, backbone.phi),
        psi=dihedral(positions, backbone.psi),
        regular=backbone.all_trans(positions) & backbone.all_l(positions),
        report=report,
    )


def write_shard(shard: Shard, path: Path) -> None:
    """Write a compressed npz file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_npz(shard, path, compressed=True)


def read_shard(path: Path) -> Shard:
    """The frames in a file of `write_shard`. No pickle is loaded.

    Raises:
        DataError: missing or damaged.
    """
    return read_npz(Shard, path, "delete it and run again")


def has_dipoles(path: Path) -> bool:
    """Whether a shard has dipole moments; those of earlier versions lack them. Damage is for reading to report."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "dipole.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return True
