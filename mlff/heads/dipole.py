"""The dipole moment of a structure, from charges and atomic dipoles."""

import torch
from ase.data import atomic_masses
from torch import Tensor, nn

from mlff.equiformer import EquiformerConfig
from mlff.equiformer.feed_forward import GatedFeedForward
from mlff.graph.graph import GraphInput
from mlff.graph.quantities import Quantity


class DipoleHead(nn.Module):
    """μ = Σ_i q_i (r_i − R) + Σ_i μ_i, with R the centre of mass of the structure.

    Both parts are read from the features of an atom, so charge may move between any atoms and a charged fragment has
    whatever charge its atoms add up to. With R as the origin the moment of a structure does not depend on where it
    lies, also where the charges do not add up to zero. It means nothing for periodic structures.

    ======  ============================  =========
    symbol  variable                      unit
    ======  ============================  =========
    q_i     ``charges`` [N]               e
    μ_i     ``atomic`` [N,3]              e·Å
    R       ``centers`` [B,3]             Å
    ======  ============================  =========

    Args:
        config: of the backbone.
        row: the quantity, for its irreps.
    """

    masses: Tensor

    def __init__(self, config: EquiformerConfig, row: Quantity) -> None:
        super().__init__()
        self.degree = max(row.degrees)
        self.network = GatedFeedForward(config, 2)  # charge, atomic dipole
        self.register_buffer("masses", torch.tensor(atomic_masses, dtype=torch.float64), persistent=False)

    def forward(self, features: Tensor, graph: GraphInput) -> Tensor:
        """Features [N,(lmax+1)²,C] to moments [B,3] in e·Å."""
        y = self.network(features)
        charges, atomic = y[:, 0, 0], y[:, 1:4, 1]
        masses = self.masses.to(graph.positions.dtype).index_select(0, graph.numbers)[:, None]
        zeros = torch.zeros(graph.cell.shape[0], 3, dtype=graph.positions.dtype, device=graph.positions.device)
        total_mass = zeros[:, :1].index_add(0, graph.batch, masses)
        centers = zeros.index_add(0, graph.batch, masses * graph.positions) / total_mass
        arms = (graph.positions - centers.index_select(0, graph.batch)).to(y.dtype)
        return zeros.to(y.dtype).index_add(0, graph.batch, charges[:, None] * arms + atomic)
