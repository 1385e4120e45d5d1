"""From positions to edge vectors, and from the gradient by edge vectors back to forces and stress."""

from typing import List, Optional

import torch
from torch import Tensor

from mlff.graph.graph import GraphInput


def edge_vectors(graph: GraphInput) -> Tensor:
    """r_j − r_i + shifts · cell, [E,3] Å."""
    source, target = graph.edge_index[0], graph.edge_index[1]
    lattice = graph.cell.index_select(0, graph.batch.index_select(0, target))
    offset = torch.bmm(graph.shifts.to(graph.cell.dtype)[:, None], lattice)[:, 0]
    return graph.positions.index_select(0, source) - graph.positions.index_select(0, target) + offset


def gradient_by_edges(energy: Tensor, edge_vec: Tensor, create_graph: bool, again: bool = False) -> Tensor:
    """dE/d(edge_vec), [E,3]; zero where the energy does not depend on any edge. ``again``: others are to follow."""
    outputs: List[Optional[Tensor]] = [torch.ones_like(energy)]
    kept = create_graph or again
    gradient = torch.autograd.grad([energy], [edge_vec], outputs, kept, create_graph, allow_unused=True)[0]
    if gradient is None:
        return torch.zeros_like(edge_vec)
    return gradient


def forces_of_edges(gradient: Tensor, source: Tensor, target: Tensor, num_atoms: int) -> Tensor:
    """Forces [N,3] from dE/d(edge_vec) [E,3] and the atoms [E] that edges lead from and to."""
    forces = torch.zeros(num_atoms, 3, dtype=gradient.dtype, device=gradient.device)
    return forces.index_add(0, target, gradient).index_add(0, source, -gradient)


def stress_of_edges(gradient: Tensor, edge_vec: Tensor, graph_of_edge: Tensor, cell: Tensor) -> Tensor:
    """Stress [B,3,3], dE/dε over the volume, from dE/d(edge_vec) [E,3] and the structure [E] of each edge."""
    virial = edge_vec[:, :, None] * gradient[:, None, :]
    virial = 0.5 * (virial + virial.transpose(1, 2))
    volume = torch.linalg.det(cell).abs()[:, None, None]
    total = torch.zeros(cell.shape, dtype=virial.dtype, device=virial.device)
    return total.index_add(0, graph_of_edge, virial) / volume.to(virial.dtype)
