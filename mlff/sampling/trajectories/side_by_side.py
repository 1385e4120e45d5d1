"""Copies of a molecule, by whatever engine the settings name."""

from __future__ import annotations

from mlff.sampling.building import Peptide
from mlff.sampling.trajectories.compiled_copies import CompiledCopies
from mlff.sampling.trajectories.config import GenerationConfig
from mlff.sampling.trajectories.copies import Copies


def side_by_side(peptide: Peptide, number: int, config: GenerationConfig) -> Copies | CompiledCopies:
    """So many copies under the conditions and on the platform of ``config``.

    Raises:
        InputError: see :class:`Copies` and :class:`CompiledCopies`.
    """
    if config.platform == "torch":
        return CompiledCopies(peptide, number, config)
    return Copies(peptide, number, config)
