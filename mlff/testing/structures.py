"""What all models have in common that take structures: inputs and outputs for the laws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from torch import Tensor, nn

from mlff.artifacts.exporting import parameter_dtype
from mlff.artifacts.self_test import Outputs, Program
from mlff.graph import AtomicGraph, Quantity, quantity, spans_volume
from mlff.potential.artifact.evaluation import make_graph, run_model
from mlff.potential.artifact.examples import edge_cases
from mlff.potential.artifact.self_test import isolated_energies
from mlff.testing.comparison import agree
from mlff.testing.laws import ModelLaws


@lru_cache(maxsize=2)
def _isolated(potential: Any) -> Tensor:
    """Energies of single atoms by atomic number, eV."""
    table = torch.zeros(1 + max(potential.config.species), dtype=torch.float64)
    for number, energy in isolated_energies(potential, potential.config).items():
        table[number] = energy
    return table


class StructureLaws(ModelLaws[Atoms]):
    """The laws of models of ASE structures, whose outputs are rows of :data:`mlff.graph.QUANTITIES`.

    The examples are small structures of the model's own elements. Energies are compared less those of the isolated
    atoms, which would hide the rest.
    """

    # eV; float64 resolves total energies of some 1000 eV to the tolerance times this
    smallest = MappingProxyType({"energy": 0.1, "energies": 0.1})

    def potential(self, model: Any) -> Any:
        """What has the ``forward`` and the ``config`` of :class:`mlff.potential.Potential`."""
        return model

    def row(self, name: str) -> Quantity:
        """What an output is."""
        return quantity(name)

    def run(self, program: Program, graph: AtomicGraph, structures: Sequence[Atoms], stress: bool) -> Outputs:
        """Outputs of a batch."""
        return run_model(program, graph, stress=stress)

    def examples(self, model: Any) -> dict[str, Atoms]:
        """One atom, atoms beyond the cutoff, a cluster, a cell smaller than the cutoff, a chain."""
        config = self.potential(model).config
        return dict(edge_cases(config.species, config.cutoff))

    def outputs(self, model: nn.Module, inputs: Sequence[Atoms], program: Program | None = None) -> list[Outputs]:
        """Of each structure what means something for it."""
        potential, dtype = self.potential(model), parameter_dtype(model)
        graph = AtomicGraph.collate([make_graph(atoms, potential.config, dtype) for atoms in inputs])
        outputs = self.run(program or model, graph, inputs, potential.config.conservative)
        isolated = _isolated(potential)[graph.numbers]
        outputs["energies"] = outputs["energies"] - isolated
        outputs["energy"] = outputs["energy"].index_add(0, graph.batch, -isolated)
        sizes = [len(atoms) for atoms in inputs]
        pieces = {name: value.split(sizes if self.row(name).per == "atom" else 1) for name, value in outputs.items()}
        return [
            {name: piece[i] for name, piece in pieces.items() if self.has(name, atoms)}
            for i, atoms in enumerate(inputs)
        ]

    def has(self, name: str, atoms: Atoms) -> bool:
        """Whether an output means something for a structure."""
        if name == "stress":
            return bool(atoms.pbc.any()) and spans_volume(atoms.cell.array)
        return self.row(name).periodic or not atoms.pbc.any()

    def moved(self, given: Atoms, matrix: Tensor, shift: Tensor) -> Atoms:
        """Cell and positions."""
        atoms = given.copy()
        atoms.set_cell(given.cell.array @ matrix.numpy().T)
        atoms.positions = given.positions @ matrix.numpy().T + shift.numpy()
        return atoms

    def moved_output(self, name: str, value: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """By the irreps of its quantity."""
        return self.row(name).transformed(value, matrix)

    def order(self, given: Atoms) -> Tensor:
        """Of the atoms."""
        return torch.randperm(len(given), generator=torch.Generator().manual_seed(5))

    def permuted(self, given: Atoms, order: Tensor) -> Atoms:
        """Other atoms first."""
        return given[order.numpy()]

    def permuted_output(self, name: str, value: Tensor, order: Tensor) -> Tensor:
        """Values of atoms follow them."""
        return value[order] if self.row(name).per == "atom" else value

    def equivalents(self, given: Atoms) -> list[Atoms]:
        """Periodic structures with each atom moved by other lattice vectors, and moved back into the cell."""
        if not given.pbc.any():
            return []
        scattered = given.copy()
        images = np.random.default_rng(6).integers(-3, 4, (len(given), 3)) * given.pbc
        scattered.positions += images @ given.cell.array
        wrapped = given.copy()
        wrapped.wrap()
        return [scattered, wrapped]

    def test_every_direction_of_an_edge(self, model: Any) -> None:
        """A dimer along an axis, where frames of edges are singular, is the rotated dimer of any other direction."""
        (first, last), bond = self.dimer(model)
        found, expected = {}, {}
        direction = np.array([1.0, 2.0, 2.0]) / 3.0
        reference = self.outputs(model, [Atoms([first, last], [np.zeros(3), bond * direction])])[0]
        for axis in (*np.eye(3), *-np.eye(3)):
            half = (direction + axis) / np.linalg.norm(direction + axis)
            turn = torch.from_numpy(2.0 * np.outer(half, half) - np.eye(3))  # by 180° about the bisector
            where = f"along {axis}"
            found[where] = self.outputs(model, [Atoms([first, last], [np.zeros(3), bond * axis])])[0]
            expected[where] = {name: self.moved_output(name, x, turn, torch.zeros(3)) for name, x in reference.items()}
        agree("every direction of an edge", expected, found, self.tolerance, self.smallest)

    def dimer(self, model: Any) -> tuple[tuple[int, int], float]:
        """Two elements of the model and the length of their bond in Å."""
        species = self.potential(model).config.species
        first, last = int(species[0]), int(species[-1])
        return (first, last), float(covalent_radii[first] + covalent_radii[last])
