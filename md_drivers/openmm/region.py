"""Which atoms of a topology a model is applied to, and whether it can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from openmm import unit

from md_drivers.common.engine import NM
from md_drivers.common.errors import StructureError
from md_drivers.common.masks import unmasked
from md_drivers.common.models import unknown_species
from mlff.potential.artifact import LoadedModel

if TYPE_CHECKING:
    from openmm.app import Topology

_NONMETALS = "X H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe At Rn"
#: Atomic numbers of the elements that form no molecules by bonds of their own.
METALS = sorted(set(range(len(chemical_symbols))) - {atomic_numbers[symbol] for symbol in _NONMETALS.split()})


@dataclass(frozen=True)
class Region:
    """The atoms of a model.

    Attributes:
        numbers: [N] atomic numbers.
        particles: [N] their indices in the System; ``None`` stands for all particles.
        partial: the topology has other atoms too.
        box: [3, 3] box vectors of the topology in A as rows, or ``None``.
    """

    numbers: tuple[int, ...]
    particles: tuple[int, ...] | None
    partial: bool
    box: np.ndarray | None


def read_region(topology: Topology, atoms: Iterable[int] | None, model: LoadedModel) -> Region:
    """The atoms that ``model`` is to be applied to.

    Args:
        topology: of the whole System.
        atoms: indices into the topology, or a mask; ``None`` for all.
        model: whose elements count.

    Raises:
        TypeError: ``topology`` is no ``openmm.app.Topology``, ``atoms`` holds no integers.
        StructureError: no atoms, an index out of range or twice, an atom without element, an unknown species.
    """
    if not all(hasattr(topology, name) for name in ("atoms", "bonds", "getPeriodicBoxVectors")):
        raise TypeError(f"topology must be an openmm.app.Topology, such as PDBFile(...).topology, got {topology!r}")
    everything = list(topology.atoms())
    chosen = range(len(everything)) if atoms is None else atom_indices(atoms, len(everything))
    if len(chosen) == 0:
        raise StructureError("there are no atoms to apply the model to")
    _check_elements([everything[k] for k in chosen], model)
    vectors = topology.getPeriodicBoxVectors()
    return Region(
        numbers=tuple(_number(everything[k]) for k in chosen),
        particles=None if atoms is None else tuple(chosen),
        partial=len(chosen) < len(everything),
        box=None if vectors is None else box_vectors(vectors),
    )


def whole_region(topology: Topology, atoms: Iterable[int] | None, model: LoadedModel) -> Region:
    """As :func:`read_region`; StructureError too where it is not made of whole molecules with known bonds."""
    region = read_region(topology, atoms, model)
    if region.partial and region.particles is not None:
        check_bonds_known(topology, region.particles, whole_residues=True)
        check_bonds_whole(topology, region.particles)
    return region


def box_vectors(vectors: Any) -> np.ndarray:
    """[3, 3] in A of the periodic box vectors of a topology: one quantity, or a list of quantities."""
    return NM * np.array([[length.value_in_unit(unit.nanometer) for length in vector] for vector in vectors])


def check_box(box: np.ndarray, cutoff: float) -> None:
    """Make sure that a region of a larger system meets each of its atoms through one periodic image at most.

    Args:
        box: [3, 3] box vectors in A as rows.
        cutoff: of the model in A.

    Raises:
        StructureError: the box is less than two cutoffs high.
    """
    heights = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
    if heights.min() < 2.0 * cutoff:
        raise StructureError(
            f"the box is {heights.min():.2f} A high along {'abc'[int(heights.argmin())]}, but a model of part of a "
            f"system needs twice its cutoff, {2.0 * cutoff:.2f} A: below, atoms of the region would also meet periodic "
            "images of each other that the classical force field counts already; use a larger box"
        )


def check_bonds_known(topology: Topology, atoms: Sequence[int], whole_residues: bool = False) -> None:
    """Make sure that the topology tells where a region ends.

    Args:
        topology: of the whole System.
        atoms: of the region.
        whole_residues: residues that the region has all atoms of are taken for whole molecules.

    Raises:
        StructureError: an atom of the region, other than a metal, has no bond although its residue has other atoms.
    """
    bonded = {atom.index for bond in topology.bonds() for atom in bond[:2]}
    everything = list(topology.atoms())
    inside = set(atoms) if whole_residues else set[int]()
    members = [[atom.index for atom in residue.atoms()] for residue in topology.residues()]
    doubtful = [len(own) > 1 and not inside.issuperset(own) for own in members]
    for k in atoms:
        if k not in bonded and doubtful[everything[k].residue.index] and _number(everything[k]) not in METALS:
            raise StructureError(
                f"the topology has no bond of {label(everything[k])}: bonds cut by the border of the region are found "
                "in the topology only; add them (CONECT records of a PDB file, topology.createStandardBonds(), "
                "topology.addBond(...))"
            )


def check_bonds_whole(topology: Topology, atoms: Sequence[int]) -> None:
    """Make sure that no bond joins a region with the rest.

    Raises:
        StructureError: naming the bond.
    """
    inside = set(atoms)
    for bond in topology.bonds():
        if (bond[0].index in inside) != (bond[1].index in inside):
            raise StructureError(
                f"the region cuts the bond of {label(bond[0])} and {label(bond[1])}: select whole molecules, or let "
                "openmm-ml cap the bond (MLPotential('mlff', ...).createMixedSystem)"
            )


def label(atom: Any) -> str:
    """An atom of a topology in words."""
    return f"atom {atom.index} ({atom.name} of {atom.residue.name} {atom.residue.id})"


def atom_indices(atoms: Iterable[int], count: int) -> list[int]:
    """Numbers of atoms, which may be given as a mask of booleans; errors as of :func:`read_region`."""
    try:
        chosen = [index(k) for k in unmasked(atoms, count)]
    except TypeError as error:
        raise TypeError(f"atoms must be atom numbers, got {atoms!r}") from error
    for k in chosen:
        if not 0 <= k < count:
            raise StructureError(f"there is no atom {k}: the topology has atoms 0 to {count - 1}")
    if len(set(chosen)) < len(chosen):
        twice = next(k for n, k in enumerate(chosen) if k in chosen[:n])
        raise StructureError(f"atom {twice} is listed twice")
    return chosen


def _number(atom: Any) -> int:
    return int(atom.element.atomic_number)


def _check_elements(atoms: Sequence[Any], model: LoadedModel) -> None:
    without = [atom for atom in atoms if atom.element is None]
    if without:
        raise StructureError(
            f"{label(without[0])} has no element ({len(without)} such in all): virtual sites and Drude particles are "
            "no atoms for a model; leave them out with atoms=, or give real atoms their element"
        )
    known = set(model.metadata.species)
    unknown = {z: atom for atom in reversed(atoms) if (z := _number(atom)) not in known}
    if unknown:
        found = ", ".join(f"{chemical_symbols[z]}, first {label(atom)}" for z, atom in sorted(unknown.items()))
        raise StructureError(unknown_species(model, found))
