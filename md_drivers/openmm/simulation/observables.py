"""What is read off a simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import openmm
from ase import units
from openmm import unit

from md_drivers.common.engine import KJ_MOL, NM
from md_drivers.common.errors import CalculationError
from md_drivers.common.uncertainty import UncertaintyWatch
from md_drivers.openmm.computation import Computation
from md_drivers.openmm.simulation.results import Sample, SimulationFailed

# No peptide survives this many kelvins, and nothing is equilibrated at ten times the temperature asked for.
_HOTTEST = 5000.0
_CUBIC_CM = 1e24  # A^3


@dataclass(frozen=True)
class Observer:
    """Takes samples of the first ``atoms`` particles of a context, which leaves out caps of cut bonds.

    Attributes:
        mass: of the System, amu.
        periodic: samples have a box.
        target: temperature of the ensemble, K.
        computation: of the model's forces.
        watch: over their uncertainty.
    """

    atoms: int
    degrees_of_freedom: int
    mass: float
    periodic: bool
    target: float
    computation: Computation
    watch: UncertaintyWatch

    def sample(self, context: openmm.Context, uncertain: bool = False) -> Sample:
        """The context now, ``uncertain``: with the uncertainty of the model's forces.

        Raises:
            SimulationFailed: something is not finite, or the temperature says that the simulation exploded.
            openmm.OpenMMException: of a force.
        """
        state = context.getState(positions=True, energy=True, enforcePeriodicBox=self.periodic)
        every = NM * state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        positions = every[: self.atoms]
        step, time = state.getStepCount(), state.getTime().value_in_unit(unit.picosecond)
        potential = KJ_MOL * state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        kinetic = KJ_MOL * state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
        temperature = 2.0 * kinetic / (self.degrees_of_freedom * units.kB)
        limit = max(_HOTTEST, 10.0 * self.target)
        finite = np.isfinite(positions).all() and math.isfinite(potential) and math.isfinite(kinetic)
        if not (finite and temperature < limit):
            what = f"its temperature is {temperature:.4g} K" if finite else "positions or energies are not finite"
            raise SimulationFailed(
                f"the simulation exploded before step {step} ({time:.6g} ps): {what}. Atoms may lie far outside the "
                "training data: minimise first, take a smaller time step"
            )
        box = volume = density = None
        if self.periodic:
            box = NM * np.array(state.getPeriodicBoxVectors().value_in_unit(unit.nanometer))
            volume = float(abs(np.linalg.det(box)))
            density = self.mass / units.mol / volume * _CUBIC_CM
        sigma = self._sigma(every, box, step) if uncertain and self.watch.known else None
        return Sample(step, time, potential, kinetic, temperature, volume, density, positions, box, sigma)

    def _sigma(self, positions: np.ndarray, box: np.ndarray | None, step: int) -> float | None:
        sigmas = self.computation.forces_uncertainty(positions, box)
        try:
            return None if sigmas is None else self.watch.look(sigmas, f"step {step}")
        except CalculationError as error:
            raise SimulationFailed(str(error)) from error
