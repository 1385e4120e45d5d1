"""The laws of potentials, with whatever outputs they have."""

from __future__ import annotations

from ase import Atoms

from mlff.testing.derivatives import DerivativeLaws
from mlff.testing.files import FileLaws
from mlff.testing.locality import LocalityLaws


class PotentialLaws(LocalityLaws, FileLaws[Atoms]):
    """The laws of smooth potentials, whatever their forces are.

    The model is a :class:`mlff.potential.Potential`, or has the same ``forward`` and ``config``.
    """


class ConservativeLaws(PotentialLaws, DerivativeLaws):
    """The laws of potentials whose forces are the gradient of the energy."""
