"""Jumps between the steps of an OpenMM simulation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from md_drivers.common.checks import check_count
from md_drivers.common.engine import KJ_MOL, NM, import_mdtraj, openmm_seeds
from md_drivers.common.errors import StructureError
from md_drivers.common.models import Model, open_jump_model
from md_drivers.jumps.errors import JumpFailed
from md_drivers.jumps.molecule import MoleculeJumper

if TYPE_CHECKING:
    from openmm import Context, System
    from openmm.app import Simulation

_KJ_MOL_NM2 = KJ_MOL / NM**2  # eV/Å²
_TOLERANCE = 10.0  # kJ/mol/nm, at which the minimiser may end earlier; OpenMM's default


@dataclass(frozen=True)
class JumpRecord:
    """One jump of an :class:`OpenMMJumper`; potential energies in eV.

    Attributes:
        jump: its number, from 1.
        time: ps since the first jump, lags and steps of molecular dynamics together.
        before: energy where the jump began.
        jumped: energy after it, hydrogens on their heavy atoms.
        minimized: energy after the minimisation.
        moved: rms distance in Å that the minimisation moved the heavy atoms.
        after: energy after the steps of molecular dynamics.
    """

    jump: int
    time: float
    before: float
    jumped: float
    minimized: float
    moved: float
    after: float


class OpenMMJumper:
    """Lets the molecule of a ``Simulation`` jump: heavy atoms by the model, hydrogens with them, then OpenMM again.

    Each jump takes the positions from the simulation, moves the heavy atoms by the lag and each hydrogen rigidly with
    its heavy atom, minimises for a few iterations, with springs on the heavy atoms, draws new velocities at the
    temperature, and runs ``md_steps`` steps. The minimisation is in a context of its own; the System of the simulation
    stays as it is. What is sampled is neither the force field nor the model alone: jumps are not accepted or rejected
    by energy.

    Args:
        simulation: of one or more peptides or proteins with hydrogens, in vacuum or implicit solvent.
        model: name of a pretrained model, path of an exported file, or a loaded jump model.
        lag: ps, one that the model was trained for.
        seed: of jumps and velocities.
        temperature: K, of new velocities; ``None``: that of the integrator.
        minimize_iterations: at most so many after a jump; 0: none.
        restraint: eV/Å², force constant k of the springs ½k|x-x₀|² on the heavy atoms; 0: they are free.
        md_steps: of the simulation after each jump.
        latent_steps: of a jump; ``None``: the model's own.
        device, dtype: of the model; ``None``: a GPU if there is one, and as exported.
        strict: refuse molecules unlike those of the training and distorted starts, instead of a warning.

    Raises:
        ImportError: OpenMM or MDTraj is not installed.
        StructureError: a periodic system or one with solvent, particles that are no atoms, an unknown residue, missing
            atoms, positions that are no molecule, no hydrogens.
        ValueError: a lag that the model was not trained for, a model of another kind, a number without meaning, or no
            temperature.
    """

    def __init__(
        self,
        simulation: Simulation,
        model: Model,
        lag: float,
        *,
        seed: int = 0,
        temperature: float | None = None,
        minimize_iterations: int = 100,
        restraint: float = 1.0,
        md_steps: int = 0,
        latent_steps: int | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        strict: bool = False,
    ) -> None:
        mdtraj = import_mdtraj()
        check_count("minimize_iterations", minimize_iterations, least=0)
        check_count("md_steps", md_steps, least=0)
        if not 0.0 <= restraint < float("inf"):
            raise ValueError(f"restraint must be a force constant in eV/Å², got {restraint!r}")
        self.simulation = simulation
        self.temperature = _temperature(simulation, temperature)
        self._iterations, self._md_steps, self._seed = minimize_iterations, md_steps, seed
        loaded = open_jump_model(model, device, dtype)
        _check_system(simulation)
        topology = mdtraj.Topology.from_openmm(simulation.topology)
        self.jumper = MoleculeJumper(loaded, topology, self.positions(), lag, seed, latent_steps, strict)
        if not len(self.jumper.hydrogens):
            raise StructureError("the simulation has no hydrogens; add them first (OpenMM's Modeller.addHydrogens)")
        self._minimizer = _Minimizer(simulation, self.jumper.heavy, restraint) if minimize_iterations else None
        self._time = 0.0

    def positions(self) -> np.ndarray:
        """[A,3] in Å, of the simulation."""
        return _positions(self.simulation.context)

    def jump(self) -> JumpRecord:
        """Jump once and run the steps after it.

        Raises:
            JumpFailed: the jump broke the molecule, or its energy is not finite; the simulation has the positions from
                before it.
        """
        from openmm import OpenMMException

        context = self.simulation.context
        old, before = self.positions(), _energy(context)
        new = self.jumper.jump(old)
        try:
            _set_positions(context, new)
            jumped = _energy(context)
            final, minimized = new, jumped
            if self._minimizer is not None:
                final = self._minimizer.minimized(new, self._iterations)
                _set_positions(context, final)
                minimized = _energy(context)
        except OpenMMException as error:
            _set_positions(context, old)
            raise JumpFailed(f"jump {self.jumper.jumps} cannot be minimised: {error}") from error
        if not np.isfinite(final).all() or not np.isfinite(minimized):
            _set_positions(context, old)
            raise JumpFailed(f"jump {self.jumper.jumps} ends with an energy of {minimized} eV")
        heavy = self.jumper.heavy
        moved = float(np.sqrt(np.square(final[heavy] - new[heavy]).sum(-1).mean()))
        context.setVelocitiesToTemperature(self.temperature, *openmm_seeds([self._seed, self.jumper.jumps], 1))
        self._time += self.jumper.lag
        if self._md_steps:
            self.simulation.step(self._md_steps)
            self._time += self._md_steps * float(self.simulation.integrator.getStepSize()._value)
        return JumpRecord(self.jumper.jumps, self._time, before, jumped, minimized, moved, _energy(context))

    def run(self, jumps: int) -> list[JumpRecord]:
        """Jump so many times; errors as of :meth:`jump`."""
        return [self.jump() for _ in range(jumps)]


class _Minimizer:
    """A context alongside that of the simulation, with springs on the heavy atoms."""

    def __init__(self, simulation: Simulation, heavy: np.ndarray, restraint: float) -> None:
        import openmm

        try:
            system: System = copy.deepcopy(simulation.system)
        except Exception as error:  # forces in Python may refuse to be copied in many ways
            raise StructureError(f"the System cannot be copied for a minimisation ({error})") from error
        springs = openmm.CustomExternalForce("0.5*k*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
        springs.addGlobalParameter("k", restraint / _KJ_MOL_NM2)
        for name in ("x0", "y0", "z0"):
            springs.addPerParticleParameter(name)
        for atom in heavy.tolist():
            springs.addParticle(atom, (0.0, 0.0, 0.0))
        system.addForce(springs)
        self._heavy, self._springs = heavy, springs
        self._context = openmm.Context(system, openmm.VerletIntegrator(1e-3), simulation.context.getPlatform())

    def minimized(self, positions: np.ndarray, iterations: int) -> np.ndarray:
        """[A,3] in Å, from there."""
        import openmm

        for number, atom in enumerate(self._heavy.tolist()):
            self._springs.setParticleParameters(number, atom, tuple(positions[atom] / NM))
        self._springs.updateParametersInContext(self._context)
        _set_positions(self._context, positions)
        openmm.LocalEnergyMinimizer.minimize(self._context, _TOLERANCE, iterations)
        return _positions(self._context)


def _check_system(simulation: Simulation) -> None:
    system, topology = simulation.system, simulation.topology
    if system.usesPeriodicBoundaryConditions() or topology.getPeriodicBoxVectors() is not None:
        raise StructureError(
            "a periodic system cannot jump, since its solvent would stay where the molecule was; use implicit solvent "
            "or vacuum, without a box"
        )
    if system.getNumParticles() != topology.getNumAtoms():
        raise StructureError(
            f"the System has {system.getNumParticles()} particles for {topology.getNumAtoms()} atoms; virtual sites "
            "and other particles cannot jump"
        )


def _temperature(simulation: Simulation, temperature: float | None) -> float:
    if temperature is None:
        read = getattr(simulation.integrator, "getTemperature", None)
        if read is None:
            raise ValueError(f"{type(simulation.integrator).__name__} has no temperature; give one in K")
        temperature = float(read()._value)
    if not 0.0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive, in K, got {temperature!r}")
    return temperature


def _positions(context: Context) -> np.ndarray:
    return NM * np.array(context.getState(positions=True).getPositions(asNumpy=True)._value)


def _set_positions(context: Context, positions: np.ndarray) -> None:
    context.setPositions(positions / NM)


def _energy(context: Context) -> float:
    return float(context.getState(energy=True).getPotentialEnergy()._value) * KJ_MOL
