"""Copies of a molecule, by whatever engine the settings name."""

from __future__ import annotations

from mlff.equijump.generation.compiled_copies import CompiledCopies
from mlff.equijump.generation.config import GenerationConfig
from mlff.equijump.generation.copies import Copies
from mlff.peptides.building import Peptide


def side_by_side(peptide: Peptide, number: int, config: GenerationConfig) -> Copies | CompiledCopies:
    """So many copies under the conditions and on the platform of ``config``.

    Raises:
        DataError: see :class:`Copies` and :class:`CompiledCopies`.
    """
    if config.platform == "torch":
        return CompiledCopies(peptide, number, config)
    return Copies(peptide, number, config)
