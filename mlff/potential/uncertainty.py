"""How far an energy and its forces are determined by the training data, from the last layer of the energy head."""

from typing import Dict

import torch
from torch import Tensor, nn

from mlff.graph.graph import GraphInput
from mlff.potential.edges import forces_of_edges, gradient_by_edges

#: Share of the mean over directions in the variance of a force component: few members make single components noisy.
SHRINKAGE = 0.5


class LastLayerUncertainty(nn.Module):
    """Last-layer prediction rigidity (Bigi, Chong, Ceriotti, Grasselli, arXiv:2403.02251).

    The energy of a structure is w · f with f = Σ_i f_i the inputs of the last layer, so with the posterior covariance
    C of its weights w the variance of the energy is α² fᵀ C f (equation 24 of the paper: C = (FᵀF + ς²)⁻¹). Forces are
    linear in w, too: those of members w ± δ_k, drawn from the posterior in pairs, differ from the model's by ± the
    gradient of δ_k · f, so a pair costs one gradient.

    Errors of forces grow by a power of the spread of the members, that of all directions at an atom. To both comes what
    no weights of the last layer could mend: for each atom a share of the energy, equal for all atoms as if it were one
    more weight, and a variance of each force component.

    Args:
        spread: [D,D] float64, eV: α times a factor of C, C = spread spreadᵀ / α².
        members: [D,K] float64, eV: the deviations δ_k of K pairs over √K, times the α of forces.
        floors: [2] float64: those of an atom's energy (eV) and of a force component (eV/Å).
        power: of the spread of forces over ``typical`` (eV/Å), where it is left as it is.
        record: what a file says of it.
    """

    spread: Tensor
    members: Tensor
    floors: Tensor

    def __init__(
        self,
        spread: Tensor,
        members: Tensor,
        floors: Tensor,
        record: object = None,
        power: float = 1.0,
        typical: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("spread", spread)
        self.register_buffer("members", members)
        self.register_buffer("floors", floors)
        self.shrinkage = SHRINKAGE
        self.power = power
        self.typical = typical
        self.record = record

    def forward(self, inputs: Tensor, edge_vec: Tensor, graph: GraphInput, forces: bool) -> Dict[str, Tensor]:
        """Standard deviations, as large as the errors on the calibration structures.

        Args:
            inputs: [N,D], of the last layer.
            edge_vec: [E,3] Å, on which they depend where ``forces`` are asked for.
            graph: with N atoms in B structures.
            forces: of forces, too.

        Returns:
            ``energy_uncertainty`` [B] and ``energies_uncertainty`` [N] in eV, the latter of the energies of single
            atoms, whose errors are correlated; ``forces_uncertainty`` [N,3] in eV/Å, of components.
        """
        parts = inputs.to(torch.float64) @ self.spread
        parts = torch.cat([parts, self.floors[:1].expand(parts.shape[0], 1)], dim=1)
        total = torch.zeros(graph.cell.shape[0], parts.shape[1], dtype=parts.dtype, device=parts.device)
        total = total.index_add(0, graph.batch, parts)
        out = {
            "energy_uncertainty": torch.linalg.vector_norm(total, dim=1).detach(),
            "energies_uncertainty": torch.linalg.vector_norm(parts, dim=1).detach(),
        }
        if forces:
            covariance = self.covariance_of_forces(inputs, edge_vec, graph)
            out["forces_uncertainty"] = torch.sqrt(torch.diagonal(covariance, dim1=1, dim2=2)).contiguous()
        return out

    def covariance_of_forces(self, inputs: Tensor, edge_vec: Tensor, graph: GraphInput) -> Tensor:
        """[N,3,3] eV²/Å², of the force on each atom; turns with the structure. The graph of ``inputs`` is kept."""
        source, target = graph.edge_index[0], graph.edge_index[1]
        energies = inputs @ self.members.to(inputs.dtype)
        size = graph.numbers.shape[0]
        total = torch.zeros(size, 3, 3, dtype=inputs.dtype, device=inputs.device)
        for k in range(energies.shape[1]):
            gradient = gradient_by_edges(energies[:, k].sum(), edge_vec, False, True)
            deviation = forces_of_edges(gradient, source, target, size).detach()
            total = total + deviation[:, :, None] * deviation[:, None, :]
        mean = torch.diagonal(total, dim1=1, dim2=2).mean(dim=1)
        unit = torch.eye(3, dtype=total.dtype, device=total.device)
        total = (1.0 - self.shrinkage) * total + self.shrinkage * mean[:, None, None] * unit
        grown = (mean / self.typical**2).clamp(min=1e-12) ** (self.power - 1.0)
        return grown[:, None, None] * total + self.floors[1].to(mean.dtype).square() * unit
