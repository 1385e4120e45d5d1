"""OpenMM systems made of nothing but the forces under test, in the units of ASE (eV, A)."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from ase import Atoms, units
from openmm import app
from openmm.unit import angstrom

from md_drivers.common.trajectory_files import read_frames
from md_drivers.openmm.computation import Settings

ROOT = Path(__file__).parents[2]
EV = units.kJ / units.mol  # one kJ/mol in eV
EV_A = EV / units.nm  # one kJ/mol/nm in eV/A


def atoms_of(topology: app.Topology, positions: Any) -> Atoms:
    """ASE's atoms of an OpenMM topology, which has elements throughout."""
    numbers = [atom.element.atomic_number for atom in topology.atoms()]
    box = topology.getPeriodicBoxVectors()
    cell = None if box is None else np.array(box.value_in_unit(angstrom))
    return Atoms(numbers, np.array(positions.value_in_unit(angstrom)), cell=cell, pbc=box is not None)


def topology_of(atoms: Atoms, *starts: int) -> app.Topology:
    """A topology without bonds, with a box where the atoms are periodic; a new residue begins at each of ``starts``."""
    topology = app.Topology()
    chain = topology.addChain()
    for k, symbol in enumerate(atoms.symbols):
        if k in (0, *starts):
            residue = topology.addResidue("MOL", chain)
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors(atoms.cell.array * angstrom)
    return topology


def system_of(topology: app.Topology, *forces: openmm.Force) -> openmm.System:
    """A System of these forces alone."""
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(0.0 if atom.element is None else atom.element.mass)
    box = topology.getPeriodicBoxVectors()
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    for force in forces:
        system.addForce(force)
    return system


def context_of(
    system: openmm.System, positions: np.ndarray, platform: str = "Reference", integrator: Any = None
) -> openmm.Context:
    """A context at positions in A."""
    integrator = openmm.VerletIntegrator(0.0005) if integrator is None else integrator
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions(np.asarray(positions) * angstrom)
    return context


def evaluate(context: openmm.Context, groups: Any = -1) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/A."""
    state = context.getState(energy=True, forces=True, groups=groups)
    return state.getPotentialEnergy()._value * EV, np.array(state.getForces(asNumpy=True)._value) * EV_A


def positions_of(context: openmm.Context) -> np.ndarray:
    """In A."""
    return np.array(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(angstrom))


def box_of(context: openmm.Context) -> np.ndarray:
    """In A."""
    return np.array(context.getState().getPeriodicBoxVectors(asNumpy=True).value_in_unit(angstrom))


def read_positions(path: Path, topology: app.Topology) -> np.ndarray:
    """[T, N, 3] in Å, float32, of all atoms in a trajectory of `md-drivers simulate`."""
    num_atoms, boxes = topology.getNumAtoms(), topology.getPeriodicBoxVectors() is not None
    none = np.empty((0, num_atoms, 3), dtype=np.float32)
    return np.concatenate([none, *read_frames(path, num_atoms, boxes=boxes)])


def settings_of(force: openmm.Force) -> Settings:
    """What the XML of a PythonForce holds."""
    xml = openmm.XmlSerializer.serialize(force)
    return pickle.loads(bytes.fromhex(re.search(r'function="(\w+)"', xml)[1])).settings
