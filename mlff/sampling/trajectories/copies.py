"""Many trajectories of one molecule in one OpenMM context.

A step of a small molecule costs more for its bookkeeping than for its forces, so copies side by side are cheaper than
copies one after the other. They do not feel each other, and each feels the forces it would have alone: the cutoff is
longer than the molecule can get, the copies are further apart than that, and what a cutoff adds to the energy (reaction
field of dielectric constant 1, the shift of generalised Born) is a constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import shortest_path

from mlff.sampling.building import Peptide
from mlff.sampling.dynamics import create_system, langevin_integrator
from mlff.sampling.trajectories.config import GenerationConfig
from mlff.support.errors import InputError, RunError
from mlff.support.units import NM_PER_ANGSTROM

if TYPE_CHECKING:
    from openmm import Context, System
    from openmm.app import Topology
    from openmm.unit import Quantity

Array = NDArray[np.float64]

# No bond gets longer by more than this factor, ten standard deviations at 600 K.
_STRETCH = 1.25
_DRIFT = 2.0  # nm that a copy may move before it is put back; ten standard deviations of the smallest peptide
UNTIL_PUT_BACK = 1.0  # ps between two looks at where the copies are


class Copies:
    """Langevin dynamics of C copies of a molecule of N atoms.

    Positions are relative to the place of each copy, where its centre is whenever they are read.

    Args:
        peptide: the molecule; its positions give the lengths of its bonds.
        number: of copies.
        config: conditions.

    Raises:
        InputError: the force field does not know the molecule, or the platform is not there.
    """

    def __init__(self, peptide: Peptide, number: int, config: GenerationConfig) -> None:
        positions = peptide.positions * NM_PER_ANGSTROM
        self._bonds = Bonds(peptide.topology, positions)
        self.cutoff = self._bonds.reach
        self._places = _grid(number, 3 * self.cutoff + 2 * _DRIFT)
        self._config = config
        self._context = self._make_context(peptide, positions)

    def prepare(self) -> None:
        """Nothing to do: the context is made."""

    def start(self, positions: Array, velocities: Array | None, seed: int) -> None:
        """Set [C,N,3] nm and nm/ps (None: thermal), and all random numbers that follow."""
        integrator = self._context.getIntegrator()
        integrator.setRandomNumberSeed(seed)
        self._context.reinitialize()
        self._context.setPositions(self._placed(positions))
        if velocities is None:
            self._context.setVelocitiesToTemperature(self._config.temperature, seed)
        else:
            self._context.setVelocities(velocities.reshape(-1, 3))

    def run(self, steps: int) -> Array:
        """Go on by some steps and return positions [C,N,3] in nm.

        Raises:
            RunError: the dynamics exploded.
        """
        from openmm import OpenMMException

        most = max(1, round(1e3 * UNTIL_PUT_BACK / self._config.dynamics.time_step))
        positions = self.positions()
        while steps > 0:
            now = min(steps, most)
            steps -= now
            try:
                self._context.getIntegrator().step(now)
            except OpenMMException as error:
                raise RunError(f"the dynamics failed: {error}") from error
            positions = self.positions()
            self._bonds.check(positions)
            centres = positions.mean(axis=1, keepdims=True)
            if not np.linalg.norm(centres, axis=-1).max() < _DRIFT:
                raise RunError(f"a copy moved by more than {_DRIFT:g} nm within {UNTIL_PUT_BACK:g} ps")
            positions = positions - centres
            self._context.setPositions(self._placed(positions))
        return positions

    def positions(self) -> Array:
        """[C,N,3] in nm."""
        return self._by_copy(self._context.getState(positions=True).getPositions(asNumpy=True)) - self._places[:, None]

    def velocities(self) -> Array:
        """[C,N,3] in nm/ps."""
        return self._by_copy(self._context.getState(velocities=True).getVelocities(asNumpy=True))

    def forces(self) -> Array:
        """[C,N,3] in kJ/mol/nm."""
        return self._by_copy(self._context.getState(forces=True).getForces(asNumpy=True))

    def _by_copy(self, quantity: Quantity) -> Array:
        from openmm import unit

        values = np.array(quantity.value_in_unit_system(unit.md_unit_system), dtype=np.float64)
        return values.reshape(len(self._places), -1, 3)

    def _placed(self, positions: Array) -> Array:
        return (positions + self._places[:, None]).reshape(-1, 3)

    def _make_context(self, peptide: Peptide, positions: Array) -> Context:
        from openmm import Context, OpenMMException, Platform

        config = self._config
        system = self._system(peptide, positions)
        integrator = langevin_integrator(config.dynamics, config.temperature)
        # One thread for each process, and sums in one order: equal seeds give equal trajectories.
        options = {
            "CPU": {"Threads": "1", "DeterministicForces": "true"},
            "CUDA": {"Precision": "mixed", "DeterministicForces": "true"},
            "OpenCL": {"Precision": "mixed"},
        }.get(config.platform, {})
        try:
            return Context(system, integrator, Platform.getPlatformByName(config.platform), options)
        except OpenMMException as error:
            raise InputError(f"platform {config.platform}: {error}") from error

    def _system(self, peptide: Peptide, positions: Array) -> System:
        from openmm import NonbondedForce, unit
        from openmm.app import Modeller

        modeller = Modeller(peptide.topology, (positions + self._places[0]) * unit.nanometer)
        for place in self._places[1:]:
            modeller.add(peptide.topology, (positions + place) * unit.nanometer)
        system = copies_system(modeller.topology, self._config, self.cutoff)
        for force in system.getForces():
            if isinstance(force, NonbondedForce):
                force.setReactionFieldDielectric(1.0)
        return system


class Bonds:
    """The bonds of a molecule and how long they may get.

    Args:
        topology: of OpenMM.
        positions: [N,3] nm, which give their lengths.

    Raises:
        InputError: the molecule is in several pieces.
    """

    def __init__(self, topology: Topology, positions: Array) -> None:
        pairs = [(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()]
        self._pairs = np.array(pairs, dtype=np.int64)
        self._longest = _STRETCH * np.linalg.norm(positions[self._pairs[:, 0]] - positions[self._pairs[:, 1]], axis=-1)
        self.reach = _reach(self._pairs, self._longest, len(positions))

    def check(self, positions: Array) -> None:
        """Raise a RunError where a bond of a copy in positions [C,N,3] in nm is torn."""
        lengths = np.linalg.norm(positions[:, self._pairs[:, 0]] - positions[:, self._pairs[:, 1]], axis=-1)
        # Written so that NaN fails, too.
        whole = (lengths < self._longest).all(axis=-1)
        if not whole.all():
            raise RunError(f"copy {int(np.flatnonzero(~whole)[0])} is torn apart")


def copies_system(topology: Topology, config: GenerationConfig, cutoff: float | None) -> System:
    """The OpenMM system of copies, whose centres move freely: to fix that of all would couple them.

    Raises:
        InputError: the force field does not know the molecule.
    """
    return create_system(topology, config.solvent, config.dynamics, cutoff=cutoff, centred=False)


def _reach(bonds: NDArray[np.int64], lengths: Array, atoms: int) -> float:
    """Upper bound of all distances in the molecule: the longest way from atom to atom along its bonds, in nm."""
    graph = coo_matrix((lengths, (bonds[:, 0], bonds[:, 1])), shape=(atoms, atoms))
    ways = shortest_path(graph.tocsr(), directed=False)
    if not np.isfinite(ways).all():
        raise InputError("the molecule is in several pieces, which could part; only one chain can be run")
    return float(ways.max())


def _grid(number: int, spacing: float) -> Array:
    """[number,3] places of a cube about the origin, where numbers of single precision are densest."""
    side = int(np.ceil(number ** (1 / 3) - 1e-9))
    places = np.array(list(np.ndindex(side, side, side))[:number], dtype=np.float64) * spacing
    return places - places.mean(axis=0)
