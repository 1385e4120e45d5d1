"""Molecules and where their trajectories begin."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlff.proteins.integrity import IntegrityCheck
from mlff.proteins.layout import CloudLayout
from mlff.sampling.building import Peptide, add_hydrogens, capped_peptide
from mlff.sampling.dynamics import minimise, sample
from mlff.sampling.packages import require_packages
from mlff.sampling.trajectories.config import GenerationConfig, SystemConfig
from mlff.sampling.trajectories.isomers import Isomers
from mlff.structures import read_located
from mlff.support.errors import DataError, InputError, RunError
from mlff.support.packages import require_packages as extra

if TYPE_CHECKING:
    from openmm.app import Topology

_ATTEMPTS = 50
_TRIAL = 0.5  # ps


def molecule(system: SystemConfig) -> Peptide:
    """All atoms of a system, not minimised; the same at every call.

    Raises:
        DataError: the PDB file cannot be used.
        InputError: as `capped_peptide`.
    """
    if system.sequence is not None:
        return capped_peptide(system.sequence)
    return _protein(system.pdb or Path())


def layout_of(topology: Topology) -> CloudLayout:
    """The layout of an OpenMM topology.

    Raises:
        DataError: see `CloudLayout.of`.
        InputError: mdtraj is not installed.
    """
    extra("equijump", "mdtraj")
    import mdtraj

    return CloudLayout.of(mdtraj.Topology.from_openmm(topology))


def start(config: GenerationConfig, system: SystemConfig, trajectory: int) -> tuple[Peptide, str]:
    """Minimised structure that a trajectory begins with, and words for it.

    Peptides begin with random phi and psi. Proteins begin with the given structure, or with what hot dynamics make of
    it (see `UnfoldingConfig`). Residues are L and peptide bonds trans in peptides, and as given in proteins.

    Raises:
        InputError: the force field does not know the molecule.
        RunError: no such structure was found, or as `minimise` and `sample`.
    """
    whole = molecule(system)
    layout = layout_of(whole.topology)
    isomers = Isomers.of(layout)
    heavy = layout.heavy_atoms.numpy()
    # The flat chain that a sequence is built as has the right isomers, too.
    wanted = isomers.of_frames(whole.positions[heavy])
    rng = np.random.default_rng([config.seed, *system.folder.encode(), trajectory])
    try:
        given = whole if system.sequence is not None else minimise(whole, config.solvent)
    except InputError as error:
        raise InputError(f"{system.folder}: {error}") from error
    for _ in range(_ATTEMPTS):
        found, words = _attempt(config, system, trajectory, given, rng)
        right = np.array_equal(isomers.of_frames(found.positions[heavy]), wanted)
        if right and _holds_together(found, config, trajectory):
            return found, words
    raise RunError(f"{system.folder}: no start with the right isomers that can be run in {_ATTEMPTS} attempts")


def _holds_together(peptide: Peptide, config: GenerationConfig, seed: int) -> bool:
    """Whether a structure survives its first steps: minimisation cannot untangle all that random angles make."""
    trial = sample(
        peptide,
        config.solvent,
        config.temperature,
        interval=_TRIAL,
        equilibration=0.0,
        seed=seed,
        dynamics=config.dynamics,
    )
    try:
        next(trial)
    except RunError:
        return False
    return True


def _attempt(
    config: GenerationConfig, system: SystemConfig, trajectory: int, given: Peptide, rng: np.random.Generator
) -> tuple[Peptide, str]:
    if system.sequence is not None:
        drawn = [(float(phi), float(psi)) for phi, psi in rng.uniform(-180.0, 180.0, size=(len(system.sequence), 2))]
        words = "; ".join(f"phi {phi:.0f}, psi {psi:.0f}" for phi, psi in drawn)
        return minimise(capped_peptide(system.sequence, drawn), config.solvent), f"{words}, minimised"
    hot = config.unfolding
    # Spread evenly, so that all parts of a small set have both kinds.
    if int((trajectory + 1) * hot.fraction) == int(trajectory * hot.fraction):
        return given, "given structure, minimised"
    frames = sample(
        given,
        config.solvent,
        hot.temperature,
        interval=hot.time,
        equilibration=0.0,
        seed=int(rng.integers(2**31 - 1)),
    )
    _, positions = next(frames)
    unfolded = minimise(Peptide(given.topology, positions), config.solvent)
    return unfolded, f"{hot.time:g} ps at {hot.temperature:g} K from the given structure, minimised"


def _protein(path: Path) -> Peptide:
    """The first model of a PDB file with hydrogens as at pH 7, without water, at the locations of highest occupancy."""
    require_packages("openmm")
    from openmm import unit
    from openmm.app import Modeller, PDBFile

    text = read_located(path, ".pdb")
    try:
        file = PDBFile(io.StringIO(text))
    except Exception as error:  # the reader raises many kinds
        raise DataError(f"not a readable PDB file ({error})", file=path) from error
    modeller = Modeller(file.topology, file.positions)
    modeller.deleteWater()
    try:
        layout = layout_of(modeller.topology)  # names what is missing or unknown
        positions = np.array(modeller.positions.value_in_unit(unit.angstrom))
        IntegrityCheck(layout)(positions[layout.heavy_atoms.numpy()][None])
        return add_hydrogens(modeller)
    except DataError as error:
        raise DataError(error.reason, file=path, hint=error.hint) from error
    except ValueError as error:
        hint = "complete it, for example with PDBFixer"
        raise DataError(f"hydrogens cannot be added: {error}", file=path, hint=hint) from error
