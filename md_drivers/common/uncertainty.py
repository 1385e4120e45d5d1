"""What drivers make of the uncertainty of a model."""

from __future__ import annotations

import logging

import numpy as np

from md_drivers.common.errors import CalculationError
from md_drivers.common.models import model_name
from mlff.potential.artifact import LoadedModel

FORCES = "forces_uncertainty"

_log = logging.getLogger("md_drivers")


class UncertaintyWatch:
    """Looks at the uncertainty of forces along a run: warns once, and stops it where asked to.

    Args:
        model: computes it, or not.
        stop_above: eV/A; None: never.

    Raises:
        ValueError: ``stop_above`` for a model that computes none.
    """

    def __init__(self, model: LoadedModel, stop_above: float | None = None) -> None:
        self.known = FORCES in model.sigmas
        if stop_above is not None and not self.known:
            raise ValueError(f"stop_above: model {model_name(model)!r} computes no uncertainty of its forces")
        self._limit = stop_above
        self._largest = None if model.metadata.uncertainty is None else model.metadata.uncertainty.largest
        self._said = False

    def look(self, sigmas: np.ndarray, where: str) -> float:
        """Root mean square, eV/A, of the uncertainties [N, 3] of the forces at a point of a run.

        Raises:
            CalculationError: it is above the limit.
        """
        value = float(np.sqrt(np.square(sigmas).mean()))
        if self._limit is not None and value > self._limit:
            raise CalculationError(
                f"{where}: the forces are uncertain by {value:.3g} eV/A, more than stop_above = {self._limit:g} eV/A"
            )
        if self._largest is not None and value > self._largest and not self._said:
            self._said = True
            _log.warning(
                "%s: the forces are uncertain by %.3g eV/A, more than in any structure that the model was validated on "
                "(%.3g eV/A); do not trust them unchecked",
                *(where, value, self._largest),
            )
        return value
