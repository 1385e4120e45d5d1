"""Molecular dynamics of single molecules with OpenMM: AMBER14, in vacuum or implicit water (GBn2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mlff.sampling.building import Peptide, Solvent, force_field
from mlff.support.errors import InputError, RunError
from mlff.support.settings import Section

if TYPE_CHECKING:
    from openmm import Context, LangevinMiddleIntegrator, System
    from openmm.app import Topology

# Up to about this size the simple loops of the Reference platform are faster than the CPU platform.
_SMALL = 100
# Å; no bond of the force field gets so long.
_TORN = 3.0


class DynamicsConfig(Section):
    """Langevin dynamics (middle scheme). Heavier hydrogens leave the distribution of structures as it is."""

    time_step: float = Field(default=2.0, gt=0, le=10, description="fs")
    friction: float = Field(default=1.0, gt=0, description="1/ps")
    hydrogen_mass: float = Field(default=4.0, ge=1.0, le=4.0, description="amu, taken from the atom it is bound to")
    constraints: Literal["none", "h-bonds"] = Field(default="none", description="h-bonds: lengths of X-H fixed")


def minimise(peptide: Peptide, solvent: Solvent) -> Peptide:
    """The peptide in the nearest minimum of the force field.

    Raises:
        InputError: the force field does not know the molecule.
        RunError: OpenMM fails.
    """
    from openmm import LocalEnergyMinimizer, OpenMMException

    context = _context(peptide, solvent, DynamicsConfig(), 300.0, 0)
    try:
        LocalEnergyMinimizer.minimize(context, 10.0, 500)
    except OpenMMException as error:
        raise RunError(f"minimisation failed: {error}") from error
    return Peptide(peptide.topology, _positions(context))


def sample(
    peptide: Peptide,
    solvent: Solvent,
    temperature: float,
    *,
    interval: float,
    equilibration: float,
    seed: int,
    dynamics: DynamicsConfig | None = None,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Structures of one trajectory without end, as (step, positions [N,3] in Å); equal seeds give equal structures.

    Args:
        peptide: a minimised start.
        temperature: K.
        interval: ps between two structures.
        equilibration: ps before the first interval.
        seed: 0 to 2**31 - 1, for velocities and random forces.

    Raises:
        InputError: the force field does not know the molecule.
        RunError: the trajectory exploded.
    """
    from openmm import OpenMMException

    dynamics = dynamics or DynamicsConfig()
    context = _context(peptide, solvent, dynamics, temperature, seed)
    integrator = context.getIntegrator()
    context.setVelocitiesToTemperature(temperature, seed)
    first, second = np.array([(bond.atom1.index, bond.atom2.index) for bond in peptide.topology.bonds()]).T
    per_interval = max(1, round(1e3 * interval / dynamics.time_step))
    step = round(1e3 * equilibration / dynamics.time_step)
    try:
        integrator.step(step)
        while True:
            integrator.step(per_interval)
            step += per_interval
            positions = _positions(context)
            # Written so that NaN counts as torn, too.
            if not np.linalg.norm(positions[first] - positions[second], axis=-1).max() < _TORN:
                raise OpenMMException("the molecule is torn apart")
            yield step, positions
    except OpenMMException as error:
        raise RunError(
            f"dynamics at {temperature:g} K failed near step {step}: {error}; use a shorter time_step"
        ) from error


def create_system(
    topology: Topology, solvent: Solvent, dynamics: DynamicsConfig, *, cutoff: float | None = None, centred: bool = True
) -> System:
    """The OpenMM system of a topology, with a cutoff in nm or without.

    Args:
        centred: whether the motion of the centre of mass is removed.

    Raises:
        InputError: the force field does not know the molecule.
    """
    from openmm import unit
    from openmm.app import CutoffNonPeriodic, HBonds, NoCutoff

    try:
        return force_field(solvent).createSystem(
            topology,
            nonbondedMethod=NoCutoff if cutoff is None else CutoffNonPeriodic,
            nonbondedCutoff=(cutoff or 1.0) * unit.nanometer,
            constraints=HBonds if dynamics.constraints == "h-bonds" else None,
            hydrogenMass=dynamics.hydrogen_mass * unit.amu,
            removeCMMotion=centred,
        )
    except ValueError as error:
        raise InputError(f"the force field cannot take it: {error}") from error


def langevin_integrator(dynamics: DynamicsConfig, temperature: float) -> LangevinMiddleIntegrator:
    """The integrator of OpenMM for a temperature in K."""
    from openmm import LangevinMiddleIntegrator, unit

    return LangevinMiddleIntegrator(
        temperature * unit.kelvin, dynamics.friction / unit.picosecond, dynamics.time_step * unit.femtosecond
    )


def _context(peptide: Peptide, solvent: Solvent, dynamics: DynamicsConfig, temperature: float, seed: int) -> Context:
    from openmm import Context, Platform, unit

    system = create_system(peptide.topology, solvent, dynamics)
    integrator = langevin_integrator(dynamics, temperature)
    # OpenMM takes 0 for "any seed".
    integrator.setRandomNumberSeed(seed + 1)
    if solvent == "none" and system.getNumParticles() <= _SMALL:
        context = Context(system, integrator, Platform.getPlatformByName("Reference"))
    else:
        # One thread for each process: small molecules gain nothing from more, and sums then keep their order.
        options = {"Threads": "1", "DeterministicForces": "true"}
        context = Context(system, integrator, Platform.getPlatformByName("CPU"), options)
    context.setPositions(peptide.positions * unit.angstrom)
    return context


def _positions(context: Context) -> NDArray[np.float64]:
    from openmm import unit

    positions = context.getState(getPositions=True).getPositions(asNumpy=True)
    return np.array(positions.value_in_unit(unit.angstrom), dtype=np.float64)
