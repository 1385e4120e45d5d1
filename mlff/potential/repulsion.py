"""Screened nuclear repulsion between atoms closer than a bond."""

import torch
from ase import units
from ase.data import covalent_radii
from torch import Tensor, nn

from mlff.graph import AtomicGraph, PolynomialEnvelope
from mlff.potential.edges import edge_vectors, forces_of_edges, gradient_by_edges, stress_of_edges

# Universal screening function of Ziegler, Biersack and Littmark, "The Stopping and Range of Ions in Solids" (1985)
_AMPLITUDES = (0.18175, 0.50986, 0.28022, 0.02817)
_RATES = (3.19980, 0.94229, 0.40290, 0.20162)


class NuclearRepulsion(nn.Module):
    """The ZBL pair energy, switched off smoothly at the sum of the two covalent radii, or at a shorter cutoff.

    Training data hold few strongly compressed bonds, and what a network makes of shorter ones is arbitrary: it may let
    atoms fall into each other. This term cannot, and at bond lengths it is small enough to be learned on top of.

    Args:
        cutoff: Å, of the edges.
    """

    radii: Tensor
    charges: Tensor

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.envelope = PolynomialEnvelope()
        self.amplitudes = list(_AMPLITUDES)
        self.rates = list(_RATES)
        self.length = 0.88534 * units.Bohr
        self.coulomb = units.Hartree * units.Bohr  # e²/(4πε0), eV·Å
        charges = torch.arange(len(covalent_radii), dtype=torch.float64)
        self.register_buffer("charges", charges, persistent=False)
        self.register_buffer("radii", torch.tensor(covalent_radii, dtype=torch.float64), persistent=False)

    def forward(self, distance: Tensor, source_numbers: Tensor, target_numbers: Tensor) -> Tensor:
        """Energy of each pair in eV, [E], from distances in Å and atomic numbers, each [E]."""
        first = self.charges.index_select(0, source_numbers)
        second = self.charges.index_select(0, target_numbers)
        length = (self.length / (first.pow(0.23) + second.pow(0.23))).to(distance.dtype)
        reach = self.radii.index_select(0, source_numbers) + self.radii.index_select(0, target_numbers)
        reach = reach.clamp(max=self.cutoff).to(distance.dtype)
        x = distance / length
        screening = torch.zeros_like(x)
        for term in range(len(self.amplitudes)):
            screening = screening + self.amplitudes[term] * torch.exp(-self.rates[term] * x)
        bare = (self.coulomb * first * second).to(distance.dtype) / distance
        return bare * screening * self.envelope(distance / reach)

    @torch.jit.ignore
    def of_graph(self, graph: AtomicGraph) -> tuple[Tensor, Tensor, Tensor]:
        """Energy [B] eV in float64, forces [N,3] eV/Å and stress [B,3,3] eV/Å³ of this term alone, without gradients.

        The stress is zero where the batch has no label of it, since structures may be without volume.
        """
        edge_vec = edge_vectors(graph.inputs)
        source, target = graph.edge_index
        graph_of_edge = graph.batch.index_select(0, target)
        with torch.enable_grad():
            edge_vec = edge_vec.detach().requires_grad_()
            numbers = graph.numbers.index_select(0, source), graph.numbers.index_select(0, target)
            pairs = 0.5 * self(torch.linalg.vector_norm(edge_vec, dim=1), *numbers)
            gradient = gradient_by_edges(pairs.sum(), edge_vec, False)
        energy = torch.zeros(graph.num_graphs, dtype=torch.float64, device=pairs.device)
        energy = energy.index_add(0, graph_of_edge, pairs.detach().double())
        forces = forces_of_edges(gradient, source, target, graph.positions.shape[0])
        if graph.stress is None:
            return energy, forces, torch.zeros_like(graph.cell)
        return energy, forces, stress_of_edges(gradient, edge_vec.detach(), graph_of_edge, graph.cell)
