"""DeNS: a potential that also learns to find back atoms that noise has moved."""

from typing import Dict

import torch
from torch import Tensor, nn

from mlff.equiformer.block import equivariant_norm
from mlff.graph.graph import GraphInput
from mlff.heads import VectorHead
from mlff.irreps import SO3Linear, node_degrees
from mlff.potential.potential import Potential


class DensPotential(nn.Module):
    """A potential, an encoding of forces at its input, and a head for the noise (Liao et al., arXiv:2403.09549).

    Of a corrupted structure r̃ = r + σ ε and the forces F of the clean one, the network finds ε and the clean labels::

        x_i = embedding of r̃ + L Y(F_i) ‖F_i‖/√3    for corrupted atoms i, without the second term for others
        ε̂_i = noise head of the last features

    ======  ===========================  ==============================================================
    symbol  variable                     meaning
    ======  ===========================  ==============================================================
    r̃, σ ε  ``positions``                see :func:`mlff.potential.corrupt`
    F       ``encoded_forces``           [N,3] eV/Å
    Y       :meth:`harmonics`            component-normalised spherical harmonics of F/‖F‖, times ‖F‖/√3
    L       ``force_encoding``           linear map per degree to the channels of the features
    ε̂       ``out["noise"]``             [N,3]
    ======  ===========================  ==============================================================

    The parts that DeNS adds lie outside of ``potential``, which stays what it is without them: only ``potential`` is
    averaged, validated, saved and exported.

    A conservative potential computes no l > 0 in its last block. The noise head then reads the new scalars and the
    l > 0 that entered that block, under a norm of its own.

    Args:
        potential: energies and forces.
        encode_forces: give the network the clean forces of corrupted atoms; without, the task is ill-posed.
    """

    scales: Tensor

    def __init__(self, potential: Potential, encode_forces: bool = True) -> None:
        super().__init__()
        config = potential.config.backbone
        self.potential = potential
        self.lmax = config.lmax
        self.force_encoding = SO3Linear(1, config.channels, config.lmax) if encode_forces else None
        self.noise_norm = equivariant_norm(config, config.lmax) if potential.backbone.scalars_only else None
        self.noise_head = VectorHead(config, potential.backbone.embedding.num_embeddings)
        degrees = node_degrees(config.lmax).to(torch.float64)
        # component normalisation: the l = 1 harmonics of a unit vector are √3 long, which 1/√3 undoes
        self.register_buffer("scales", ((2.0 * degrees + 1.0) / 3.0).sqrt(), persistent=False)

    def harmonics(self, forces: Tensor) -> Tensor:
        """Y_l(F/‖F‖)·‖F‖/√3 for l = 0..lmax, [N,(lmax+1)²,1]; zero for a force of zero."""
        norm = torch.linalg.vector_norm(forces, dim=1, keepdim=True)
        direction = forces / torch.where(norm > 0, norm, torch.ones_like(norm))
        # harmonics are the m = 0 rows of the Wigner matrix that takes the direction to the polar axis
        rows = self.potential.backbone.frame(direction)[:, : self.lmax + 1].sum(dim=1)
        return (rows * self.scales.to(rows.dtype) * norm)[:, :, None]

    def forward(
        self, graph: GraphInput, encoded_forces: Tensor, corrupted: Tensor, compute_stress: bool = False
    ) -> Dict[str, Tensor]:
        """Evaluate a batch, some atoms of which are corrupted.

        Args:
            graph: B structures with N atoms and E edges.
            encoded_forces: [N,3] eV/Å, forces of the clean structures on corrupted atoms; of other atoms not used.
            corrupted: [N] bool.

        Returns:
            what :class:`Potential` returns without its nuclear repulsion (see :func:`mlff.potential.corrupt`), at the
            geometry given, and ``noise`` [N,3], the displacement of each atom in units of the noise; it means something
            for corrupted atoms only. Conservative forces are −∂E/∂r with the encoding held constant. Other arguments,
            and what keeps its gradient, as for :class:`Potential`.
        """
        potential = self.potential
        edge_vec, keep_graph = potential.edge_vectors(graph, True)
        species, context = potential.context(graph, edge_vec)
        x = potential.backbone.embed(species, context)
        force_encoding = self.force_encoding
        if force_encoding is not None:
            # masked, so that the bias marks the corrupted atoms and clean batches are those of the potential alone
            x = x + force_encoding(self.harmonics(encoded_forces.to(x.dtype))) * corrupted.to(x.dtype)[:, None, None]
        x, whole = potential.backbone.layers(x, context)
        out = potential.read_out(x, whole, context, edge_vec, graph, True, compute_stress, keep_graph, False)
        noise_norm = self.noise_norm
        features = potential.backbone.norm(x) if noise_norm is None else noise_norm(whole)
        noise = self.noise_head(features, context)
        out["noise"] = noise if keep_graph else noise.detach()
        return out
