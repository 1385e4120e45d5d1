"""OpenMM's System and Integrator of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from md_drivers.common.domain import DomainWatch, said_in_run
from md_drivers.common.engine import NM
from md_drivers.common.errors import StructureError
from md_drivers.openmm.computation import Computation
from md_drivers.openmm.force import openmm_force
from md_drivers.openmm.simulation.settings import SimulationSettings
from md_drivers.openmm.simulation.structure import Structure, select
from mlff.potential.artifact import LoadedModel
from mlff.support.errors import unknown

_INTERPOLATION = "lambda_interpolate"  # openmm-ml's name
_BAROSTAT_INTERVAL = 25  # steps


@dataclass(frozen=True)
class Assembly:
    """A System with what is known about it.

    Attributes:
        ml_atoms: how many atoms have the model's forces.
        degrees_of_freedom: those that temperature counts: without constraints and the motion of the whole.
        parameters: global parameters to set in the context.
        computation: of the model's forces.
    """

    system: openmm.System
    ml_atoms: int
    degrees_of_freedom: int
    parameters: dict[str, float]
    computation: Computation


def assemble(
    structure: Structure, model: LoadedModel, settings: SimulationSettings, failure_file: Path, seed: int
) -> Assembly:
    """The System of a structure.

    Args:
        failure_file: where a failing force leaves positions.
        seed: of the barostat.

    Raises:
        ImportError: openmm-ml or MDTraj is needed and missing.
        StructureError: an unknown species, a selection without meaning, missing bonds, a box that is too small, a force
            field that does not fit, no box for ``npt``.
    """
    if settings.ensemble == "npt" and structure.box is None:
        raise StructureError(f"{structure.path}: the ensemble npt needs a box (CRYST1 record or cell), there is none")
    topology, parameters = structure.topology, dict[str, float]()
    DomainWatch(model, settings.strict, said_in_run.get()).look_at_temperature(settings.temperature)
    asked = {"charge": settings.charge, "strict": settings.strict, "ignore": settings.ignore}
    options: dict[str, Any] = {"failure_file": failure_file, **asked}
    if settings.ml_atoms is None:
        system, ml_atoms = openmm.System(), topology.getNumAtoms()
        force = openmm_force(model, topology, parameter=None, **options)  # knows every atom's element
        for atom in topology.atoms():
            system.addParticle(atom.element.mass)
        if structure.box is not None:
            system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
        computation = force.computation
        system.addForce(force)
    else:
        region = select(topology, settings.ml_atoms)
        system, computation = _mixed(structure, model, region, settings, options)
        ml_atoms = len(region)
        if settings.interpolate is not None:
            parameters[_INTERPOLATION] = settings.interpolate
    system.addForce(_molecules(topology))
    if settings.ensemble != "nve":
        system.addForce(openmm.CMMotionRemover(1))
    if settings.ensemble == "npt":
        barostat = openmm.MonteCarloBarostat(settings.pressure, settings.temperature, _BAROSTAT_INTERVAL)
        barostat.setRandomNumberSeed(seed)
        system.addForce(barostat)
    moving = int(np.count_nonzero(masses_of(system)))
    return Assembly(system, ml_atoms, max(1, 3 * moving - system.getNumConstraints() - 3), parameters, computation)


def masses_of(system: openmm.System) -> np.ndarray:
    """[P] in amu, of all particles; 0 for virtual sites."""
    return np.array([system.getParticleMass(k)._value for k in range(system.getNumParticles())])


def make_integrator(settings: SimulationSettings, seed: int) -> openmm.Integrator:
    """Leapfrog Verlet for ``nve``, the middle scheme of Langevin dynamics otherwise."""
    if settings.ensemble == "nve":
        return openmm.VerletIntegrator(settings.picoseconds)
    integrator = openmm.LangevinMiddleIntegrator(settings.temperature, settings.friction, settings.picoseconds)
    integrator.setRandomNumberSeed(seed)
    return integrator


def find_platform(name: str | None, settings: SimulationSettings) -> tuple[openmm.Platform, dict[str, str]]:
    """A platform of OpenMM and its properties, in mixed precision where it can choose.

    Args:
        name: ``None``: the Reference platform (double precision) where all forces are the model's and OpenMM has
            nothing else to compute, OpenMM's fastest otherwise.

    Raises:
        ValueError: there is no such platform.
    """
    known = [openmm.Platform.getPlatform(k) for k in range(openmm.Platform.getNumPlatforms())]
    if name is None:
        name = "Reference" if settings.ml_atoms is None else max(known, key=lambda p: p.getSpeed()).getName()
    for platform in known:
        if platform.getName().lower() == name.lower():
            mixed = {"Precision": "mixed"} if "Precision" in platform.getPropertyNames() else {}
            return platform, mixed
    raise ValueError(unknown("platform", name, (platform.getName() for platform in known)))


def _mixed(
    structure: Structure, model: LoadedModel, region: list[int], settings: SimulationSettings, options: dict[str, Any]
) -> tuple[openmm.System, Computation]:
    """Mechanical embedding by openmm-ml; cut bonds are capped by virtual sites after the other particles."""
    try:
        from openmmml import MLPotential
    except ImportError as error:
        message = f"openmm-ml is needed to mix model and force field and cannot be imported ({error})"
        raise ImportError(f"{message}; pip install 'mlff-equijump[openmm]'") from error
    topology, cutoff = structure.topology, settings.nonbonded_cutoff
    if structure.box is not None and 2.0 * cutoff > np.diag(structure.box).min():
        raise StructureError(
            f"{structure.path}: the box is {np.diag(structure.box).min():.2f} A wide, less than twice the cutoff of "
            f"the force field, {cutoff:g} A; take a larger box or a shorter nonbonded_cutoff"
        )
    try:
        classical = app.ForceField(*settings.force_fields).createSystem(
            topology,
            nonbondedMethod=app.NoCutoff if structure.box is None else app.PME,
            nonbondedCutoff=cutoff / NM * unit.nanometer,
            constraints=app.HBonds,
            removeCMMotion=False,
        )
    except Exception as error:  # XML that is missing or wrong, atoms without template or parameters
        files = ", ".join(settings.force_fields)
        raise StructureError(f"{structure.path}: the force field {files} cannot be applied: {error}") from error
    potential = MLPotential("mlff", modelPath=model, **options)
    mixed = potential.createMixedSystem(topology, classical, region, interpolate=settings.interpolate is not None)
    return mixed, potential._impl.computation


def _molecules(topology: app.Topology) -> openmm.Force:
    """Bonds without energy. From bonds OpenMM knows the molecules that barostats scale and that boxes keep whole."""
    force = openmm.HarmonicBondForce()
    force.setName("molecules")
    for bond in topology.bonds():
        force.addBond(bond[0].index, bond[1].index, 0.1, 0.0)
    return force
