"""A potential that was read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import ase
import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from mlff.artifacts.container import Container
from mlff.artifacts.loaded import Loaded
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.self_test import Outputs, Program, SelfTest
from mlff.artifacts.torchscript import plain_execution
from mlff.graph import AtomicGraph, spans_volume
from mlff.potential.artifact.evaluation import make_graph, run_model
from mlff.potential.artifact.metadata import ArtifactMetadata
from mlff.potential.artifact.native import native_program
from mlff.potential.artifact.self_test import PotentialSelfTest


class LoadedModel(Loaded):
    """A potential that computes, with what its file says about it. Made by :func:`mlff.load`.

    Attributes:
        metadata: of the file.
        examples: the structures of its self-test that whoever exported it gave.
        module, device, dtype, name, path, sha256: of every loaded file, see :class:`mlff.artifacts.Loaded`.
    """

    metadata: ArtifactMetadata

    def __init__(
        self, container: Container, metadata: Metadata, test: SelfTest, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__(container, metadata, test, device, dtype)
        self.examples: list[ase.Atoms] = cast(PotentialSelfTest, test).examples
        self._known = np.zeros(len(chemical_symbols), dtype=bool)
        self._known[list(self.metadata.species)] = True

    def __repr__(self) -> str:
        elements = "-".join(self.metadata.symbols)
        return f"LoadedModel({self.name}, {elements}, cutoff {self.metadata.cutoff:g} Å, {self.dtype}, {self.device})"

    def native(self) -> tuple[Program | None, str]:
        """On CPUs, where the native library knows the network."""
        if self.device.type != "cpu":
            return None, "it runs on CPUs only"
        return native_program(self.metadata.architecture, self.program(), self.module, self.dtype)

    def check_species(self, numbers: np.ndarray | Tensor) -> None:
        """Make sure that the model knows all elements.

        Args:
            numbers: [N] atomic numbers.

        Raises:
            ValueError: naming the unknown elements and the first atom of each.
        """
        z = numbers.detach().cpu().numpy() if isinstance(numbers, Tensor) else np.asarray(numbers)
        inside = (z >= 0) & (z < len(self._known))
        unknown = ~(inside & self._known[np.where(inside, z, 0)])
        if not unknown.any():
            return
        culprits = []
        for number in np.unique(z[unknown]):
            symbol = chemical_symbols[number] if 0 <= number < len(chemical_symbols) else "?"
            culprits.append(f"{symbol} (Z={number}, atom {int(np.flatnonzero(z == number)[0])})")
        raise ValueError(f"the model does not know {', '.join(culprits)}; it knows {', '.join(self.metadata.symbols)}")

    def graph(self, atoms: ase.Atoms) -> AtomicGraph:
        """The graph of a structure as :meth:`evaluate` needs it: cutoff and device of the model, float64 coordinates.

        Raises:
            ValueError: unknown elements, or a structure without a neighbour list, see :func:`mlff.graph.neighbor_list`.
        """
        self.check_species(atoms.numbers)
        return make_graph(atoms, self.metadata, torch.float64).to(device=self.device)

    @property
    def sigmas(self) -> tuple[str, ...]:
        """Names of the standard deviations that the model computes on request, ``energy_uncertainty`` ...; or none."""
        return self.metadata.sigmas

    def evaluate(
        self, graph: AtomicGraph, *, forces: bool = True, stress: bool = False, sigmas: Sequence[str] = ()
    ) -> Outputs:
        """Compute a graph of B structures with N atoms in all. Gradients do not flow through.

        Args:
            graph: with all pairs within ``metadata.cutoff`` (and ``metadata.max_neighbors``, if not None); moved to the
                device of the model if needed. Coordinates are best float64: models round edge vectors, not positions.
            forces: compute forces.
            stress: compute the stress.
            sigmas: standard deviations to compute, of those in the attribute of this name. Those of energies cost
                nothing, those of forces seven times energy and forces.

        Returns:
            Of ``metadata.outputs``: ``energy`` [B] float64, ``energies`` [N] float64 in eV; ``forces`` [N, 3] in eV/Å;
            ``stress`` [B, 3, 3] in eV/Å³, positive under tension as in ASE, NaN for structures whose lattice vectors
            span no volume; properties; ``energy_uncertainty`` [B], ``energies_uncertainty`` [N] in eV and
            ``forces_uncertainty`` [N, 3] in eV/Å.

        Raises:
            ValueError: elements that the model does not know; a stress of a model with direct forces, or where no
                structure has a volume; an uncertainty that the file does not hold.
        """
        self.check_species(graph.numbers)
        missing = [name for name in sigmas if name not in self.sigmas]
        if missing:
            known = ", ".join(self.sigmas) or "no uncertainty; mlff export --uncertainty writes files that do"
            raise ValueError(f"{self.path.name} does not compute {', '.join(missing)}: it computes {known}")
        if stress:
            if "stress" not in self.metadata.outputs:
                raise ValueError(f"{self.path.name} has no stress: its forces are not the derivative of its energy")
            flat = ~torch.tensor([spans_volume(cell) for cell in graph.cell], device=self.device)
            if bool(flat.all()):
                raise ValueError("stress needs three lattice vectors that span a volume, which no structure has")
        with plain_execution(self.device):
            outputs = run_model(self.module, graph.to(device=self.device), forces=forces, stress=stress, sigmas=sigmas)
        if stress:
            outputs["stress"][flat] = torch.nan
        return {name: value for name, value in outputs.items() if name in self.metadata.outputs or name in sigmas}
