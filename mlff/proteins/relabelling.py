"""Exchange of the names of equivalent atoms, as an augmentation of training pairs.

Names of simulations are kept as they are: a name that is chosen anew in every frame would make atoms jump. What is
allowed is one choice for both frames of a pair.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlff.proteins.cloud import TensorCloud
from mlff.proteins.residues import NUM_CHANNELS, OXYGEN, TERMINAL_OXYGEN, swap_table


def relabelling(cloud: TensorCloud, side_chain: Tensor, terminus: Tensor) -> Tensor:
    """The permutation of channels that trades the names of equivalent atoms in chosen residues.

    Args:
        side_chain: [..., N] bool, where ARG, ASP, GLU, PHE and TYR are relabelled (see ``residues``).
        terminus: [..., N] bool, where O and OXT are.

    Returns:
        [..., N, C] int64 for :func:`relabelled`.
    """
    identity = torch.arange(NUM_CHANNELS, device=cloud.residues.device)
    ends = identity.clone()
    ends[OXYGEN], ends[TERMINAL_OXYGEN] = TERMINAL_OXYGEN, OXYGEN
    swapped = swap_table().to(cloud.residues.device)[cloud.residues]
    order = torch.where(side_chain.unsqueeze(-1), swapped, identity)
    at_end = (terminus & cloud.atom_mask[..., TERMINAL_OXYGEN]).unsqueeze(-1)
    # Side chains and termini are different channels, so one gather composes the two.
    return torch.where(at_end & (ends != identity), ends, order)


def random_relabelling(
    cloud: TensorCloud, probability: float = 0.5, generator: torch.Generator | None = None
) -> Tensor:
    """A permutation as of :func:`relabelling`, with independent choices of this probability for every group."""
    shape = (2, *cloud.residues.shape)
    draws = torch.rand(shape, generator=generator, device=generator.device if generator is not None else None)
    side_chain, terminus = (draws < probability).to(cloud.residues.device)
    return relabelling(cloud, side_chain, terminus)


def relabelled(cloud: TensorCloud, order: Tensor) -> TensorCloud:
    """The cloud with its channels permuted by [..., N, C]; the same cloud in other names, and its own inverse."""
    index = order.unsqueeze(-2).expand_as(cloud.coordinates)
    return cloud.replace(coordinates=cloud.coordinates.gather(-1, index))
