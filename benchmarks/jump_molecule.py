"""The molecule of a benchmark of jump models: for OpenMM with hydrogens, for the model without, under one condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlff.equijump.artifact import LoadedJump
from mlff.proteins import CloudLayout
from mlff.sampling.dynamics import DynamicsConfig
from mlff.sampling.peptides import Peptide, minimise
from mlff.sampling.trajectories import GenerationConfig, Platform, SystemConfig
from mlff.sampling.trajectories.starts import layout_of, molecule

#: As the descriptions of data sets call it.
_VACUUM = "none"


@dataclass(frozen=True, eq=False)
class Molecule:
    """One molecule.

    Attributes:
        peptide: all atoms; positions in Å.
        layout: of the heavy atoms.
        heavy: [M] their places among all atoms.
    """

    peptide: Peptide
    layout: CloudLayout
    heavy: NDArray[np.int64]

    @property
    def residues(self) -> str:
        """Names of the residues, joined."""
        return "-".join(residue.name for residue in self.layout.topology.residues)


def read_molecule(structure: Path) -> Molecule:
    """The first model of a PDB file of one peptide or protein; hydrogens that it lacks are added as at pH 7.

    Raises:
        ValueError: it cannot be used; the message says why.
    """
    # The name of the file need not be fit for a folder.
    peptide = molecule(SystemConfig(pdb=structure, name="molecule"))
    layout = layout_of(peptide.topology)
    return Molecule(peptide, layout, layout.heavy_atoms.numpy())


def minimised(whole: Molecule, config: GenerationConfig) -> Molecule:
    """The molecule in the nearest minimum.

    Raises:
        ValueError: the force field does not know it, or OpenMM fails.
    """
    return Molecule(minimise(whole.peptide, config.solvent), whole.layout, whole.heavy)


def conditions(
    known: Sequence[Mapping[str, str | float]],
    *,
    temperature: float | None = None,
    time_step: float | None = None,
    platform: Platform = "CPU",
) -> GenerationConfig:
    """Those of the training data, where the model file tells of one set of them, else those of `generate-data`.

    Args:
        known: ``JumpMetadata.conditions``.
        temperature: K; None: as above.
        time_step: fs; None: as above.

    Raises:
        ValueError: a value without meaning.
    """
    told = dict(known[0]) if len(known) == 1 else {}
    default = GenerationConfig()
    dynamics: dict[str, Any] = default.dynamics.model_dump()
    dynamics |= {key: told[key] for key in dynamics if key in told}
    if time_step is not None:
        dynamics["time_step"] = time_step
    return GenerationConfig(
        temperature=temperature if temperature is not None else told.get("temperature", default.temperature),
        solvent="none" if told.get("solvent") == _VACUUM else default.solvent,
        dynamics=DynamicsConfig(**dynamics),
        platform=platform,
    )


def described(config: GenerationConfig) -> dict[str, Any]:
    """What a result says of the dynamics."""
    return {
        "temperature_K": config.temperature,
        "solvent": config.solvent,
        "platform": config.platform,
        **config.dynamics.model_dump(),
    }


def chosen_lag(model: LoadedJump, lag: float | None) -> float:
    """The lag in ps, checked; None: the only one that the model knows.

    Raises:
        ValueError: a lag that the model was not trained for, or several and none was chosen.
    """
    if lag is not None:
        model.check_lag(lag)
        return lag
    if len(model.metadata.lag_times) > 1:
        listed = ", ".join(f"{known:g}" for known in model.metadata.lag_times)
        raise ValueError(f"{model.path.name}: the model knows several lag times ({listed} ps); choose one with --lag")
    return model.metadata.lag_times[0]
