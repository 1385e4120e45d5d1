"""What the metadata of a potential claim, held against what its program computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

import ase
import numpy as np
import torch

from mlff.artifacts.self_test import Outputs, Program
from mlff.graph import AtomicGraph
from mlff.potential.artifact.evaluation import make_graph, run_model
from mlff.potential.artifact.metadata import ArtifactMetadata

_PAIR = 0.98  # distance of the pair that must interact, in cutoffs
_STEP = 5e-3  # Å, of the derivative of the energy
_LARGEST = 12  # atoms of a structure whose energy is derived
_AGREEMENT = 0.02  # of the force; forces that are no derivatives are off by more


class Claims:
    """The checks of one program.

    Args:
        metadata: what is claimed.
        isolated: energies of isolated atoms in eV, by atomic number, of the file.
        program: on ``device`` in ``dtype``.
        tolerance: relative, of the self-test in ``dtype``.
    """

    def __init__(
        self,
        metadata: ArtifactMetadata,
        isolated: Mapping[int, float],
        program: Program,
        dtype: torch.dtype,
        device: torch.device,
        tolerance: float,
    ) -> None:
        self.metadata, self.isolated, self.program = metadata, isolated, program
        self.dtype, self.device, self.tolerance = dtype, device, tolerance

    def _run(self, *structures: ase.Atoms, forces: bool = True) -> Outputs:
        graph = AtomicGraph.collate([make_graph(atoms, self.metadata, self.dtype) for atoms in structures])
        outputs = run_model(self.program, graph.to(device=self.device), forces=forces)
        return {name: value.to("cpu", torch.float64) for name, value in outputs.items()}

    def check_species(self) -> None:
        """Isolated atoms of all elements have the energies of the file; ValueError: an element is not known."""
        species = list(self.metadata.species)
        if set(species) != set(self.isolated):
            raise ValueError(f"the elements {species} are claimed, and the self-test has {list(self.isolated)}")
        found = self._run(*(ase.Atoms(numbers=[z], positions=[[0.0, 0.0, 0.0]]) for z in species), forces=False)[
            "energies"
        ]
        for z, energy in zip(species, found.tolist(), strict=True):
            if not abs(energy - self.isolated[z]) <= self.tolerance * max(1.0, abs(self.isolated[z])):
                raise ValueError(f"an atom of Z={z} has {energy:g} eV, and the file says {self.isolated[z]:g} eV")

    def check_cutoff(self, structures: Sequence[ase.Atoms]) -> None:
        """Two atoms just within the cutoff feel each other, if any atoms do; ValueError: they do not."""
        if "energies" not in self.metadata.outputs:
            return
        distance = _PAIR * self.metadata.cutoff
        for z in combinations_with_replacement(self.metadata.species, 2):
            if self._interact(ase.Atoms(numbers=z, positions=[[0.0, 0.0, 0.0], [0.0, 0.0, distance]])):
                return
        if any(self._interact(atoms) for atoms in structures):
            raise ValueError(
                f"a cutoff of {self.metadata.cutoff:g} Å is claimed, and no two atoms feel each other at {distance:g} Å"
            )

    def _interact(self, atoms: ase.Atoms) -> bool:
        outputs = self._run(atoms)
        alone = torch.tensor([self.isolated[int(z)] for z in atoms.numbers], dtype=torch.float64)
        near = (outputs["energies"] - alone).abs() > 10.0 * self.tolerance * alone.abs().clamp(min=1.0)
        pulled = "forces" in outputs and bool((outputs["forces"] != 0).any())
        return pulled or bool(near.any())

    def check_conservative(self, structures: Sequence[tuple[ase.Atoms, Outputs]]) -> None:
        """Forces of the file are minus the derivative of the energy, where that can be resolved.

        Raises:
            ValueError: they are not.
        """
        if not (self.metadata.conservative and "forces" in self.metadata.outputs):
            return
        for atoms, outputs in structures:
            if not 1 < len(atoms) <= _LARGEST:
                continue
            alone = torch.tensor([self.isolated[int(z)] for z in atoms.numbers], dtype=torch.float64)
            size = float((outputs["energies"] - alone).abs().sum()) + len(atoms)
            noise = 50.0 * torch.finfo(self.dtype).eps * size / _STEP
            forces = outputs["forces"].numpy()
            expected = float(np.linalg.norm(forces))
            if expected < 100.0 * noise:
                continue
            found = -self._derivative(atoms, forces / expected)
            if not abs(found - expected) <= _AGREEMENT * expected + noise:
                raise ValueError(
                    f"conservative forces are claimed, and those of {atoms.get_chemical_formula()} are {expected:g} "
                    f"eV/Å where its energy falls by {found:g} eV/Å"
                )
            return

    def _derivative(self, atoms: ase.Atoms, direction: np.ndarray) -> float:
        """Of the energy in eV/Å along a displacement [N, 3], by four points."""
        moved = [atoms.copy() for _ in range(4)]
        for steps, structure in zip((-2, -1, 1, 2), moved, strict=True):
            structure.positions += steps * _STEP * direction
        energies = self._run(*moved, forces=False)["energy"].numpy()
        return float(energies @ (1.0, -8.0, 8.0, -1.0)) / (12.0 * _STEP)
