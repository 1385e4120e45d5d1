"""What the layers need to know of a batch of clouds."""

from typing import NamedTuple, Tuple

import torch
from torch import Tensor


class ResidueGraph(NamedTuple):
    """The residues of a batch without padding (M nodes) and the pairs of them that exchange messages (E edges)."""

    nodes: Tensor  # [M] int64, place in the flattened [B·N]
    batch: Tensor  # [M] int64, member of the batch
    residues: Tensor  # [M] int64, tokens
    ends: Tensor  # [M] int64: 1 for the first residue of a chain, 2 for the last, 3 for both, else 0
    source: Tensor  # [E] int64
    target: Tensor  # [E] int64
    offset: Tensor  # [E] int64, place in the chain: 0 … 2·range, and 2·range + 1 for other chains and farther residues
    inverse_degree: Tensor  # [M], one over the number of edges that end here
    # Pairs of atoms (A) of one residue or two connected ones; an atom is its node times C plus its channel.
    atom_source: Tensor  # [A] int64
    atom_target: Tensor  # [A] int64
    atom_offset: Tensor  # [A] int64, that of the residues, and 2·range + 2 within a residue


class Condition(NamedTuple):
    """All that a jump depends on, computed once: the source, its features and the lag time."""

    graph: ResidueGraph
    source: Tensor  # [B,N,3,C] coordinates
    features: Tensor  # [M,(lmax+1)²,channels]
    lag: Tensor  # [B,time_channels]


def residue_graph(
    positions: Tensor,
    residues: Tensor,
    atom_mask: Tensor,
    chains: Tensor,
    num_neighbors: int,
    sequence_range: int,
    with_atoms: bool,
) -> ResidueGraph:
    """Connect every residue with its nearest residues and with its neighbours in the chain.

    Args:
        positions: [B,N,3] anchors in Å, of the source: the graph of a jump does not depend on the latent state.
        residues, chains: [B,N] int64.
        atom_mask: [B,N,C] bool, channel 0 being the anchor, which every residue has.
        with_atoms: whether to list pairs of atoms.
    """
    mask = atom_mask[..., 0]
    num_molecules, size = residues.shape[0], residues.shape[1]
    device = residues.device
    pair = mask.unsqueeze(2) & mask.unsqueeze(1) & ~torch.eye(size, dtype=torch.bool, device=device)
    near = _near(positions, pair, min(num_neighbors, size))
    place = torch.arange(size, device=device)
    offset = (place.unsqueeze(1) - place).expand(num_molecules, size, size)  # j - i, with edges j → i as [b, j, i]
    same_chain = chains.unsqueeze(2) == chains.unsqueeze(1)
    close = same_chain & (offset.abs() <= sequence_range)
    edges = pair & (near.transpose(1, 2) | close)
    place_in_chain = torch.where(close, offset + sequence_range, torch.full_like(offset, 2 * sequence_range + 1))

    nodes = torch.nonzero(mask.flatten()).flatten()
    index = torch.zeros(num_molecules * size, dtype=torch.int64, device=device)
    index[nodes] = torch.arange(nodes.shape[0], device=device)
    found = torch.nonzero(edges)
    source = index[found[:, 0] * size + found[:, 1]]
    target = index[found[:, 0] * size + found[:, 2]]
    degree = torch.zeros(nodes.shape[0], dtype=positions.dtype, device=device)
    degree = degree.index_add(0, target, torch.ones_like(target, dtype=positions.dtype))
    offsets = place_in_chain[edges]
    known = atom_mask.flatten(0, 1)[nodes]
    if not with_atoms:
        known = known[:, :0]
    atom_source, atom_target, atom_offset = _atom_pairs(known, source, target, offsets, 2 * sequence_range + 2)
    return ResidueGraph(
        nodes=nodes,
        batch=nodes // max(size, 1),
        residues=residues.flatten()[nodes],
        ends=_chain_ends(chains, mask).flatten()[nodes],
        source=source,
        target=target,
        offset=offsets,
        inverse_degree=1.0 / degree.clamp(min=1.0),
        atom_source=atom_source,
        atom_target=atom_target,
        atom_offset=atom_offset,
    )


def _near(positions: Tensor, pair: Tensor, count: int) -> Tensor:
    """[B,i,j]: whether residue j is one of so many nearest ones of i, of the possible pairs."""
    distance = torch.cdist(positions, positions).masked_fill(~pair, float("inf"))
    nearest = distance.topk(count, dim=2, largest=False).indices
    return torch.zeros_like(pair).scatter_(2, nearest, torch.ones_like(nearest, dtype=torch.bool))


def _atom_pairs(
    atom_mask: Tensor, source: Tensor, target: Tensor, offset: Tensor, offset_within: int
) -> Tuple[Tensor, Tensor, Tensor]:
    """Source, target and offset of all pairs of atoms [M,C] of residues connected from ``source`` to ``target``."""
    num_nodes, channels = atom_mask.shape[0], atom_mask.shape[1]
    node = torch.arange(num_nodes, device=atom_mask.device)
    source, target = torch.cat([source, node]), torch.cat([target, node])
    offset = torch.cat([offset, torch.full_like(node, offset_within)])
    pair = atom_mask[target].unsqueeze(2) & atom_mask[source].unsqueeze(1)
    itself = torch.eye(channels, dtype=torch.bool, device=atom_mask.device)
    pair = pair & ~((source == target).view(-1, 1, 1) & itself)
    found = torch.nonzero(pair)
    edge = found[:, 0]
    return source[edge] * channels + found[:, 2], target[edge] * channels + found[:, 1], offset[edge]


def _chain_ends(chains: Tensor, mask: Tensor) -> Tensor:
    """[B,N] int64: 1 where a chain begins, plus 2 where one ends."""
    differs = chains[:, 1:] != chains[:, :-1]  # padding has a number of its own
    edge = torch.ones_like(mask[:, :1])
    first, last = torch.cat([edge, differs], dim=1), torch.cat([differs, edge], dim=1)
    return first.to(torch.int64) + 2 * last.to(torch.int64)


def edge_geometry(positions: Tensor, graph: ResidueGraph) -> Tuple[Tensor, Tensor]:
    """Distances [E] in Å and unit vectors [E,3] from target to source, of anchors [M,3]."""
    edge_vec = positions.index_select(0, graph.source) - positions.index_select(0, graph.target)
    distance = torch.linalg.vector_norm(edge_vec, dim=1).clamp(
        min=1e-6
    )  # a latent state may put two anchors into one place
    return distance, edge_vec / distance.unsqueeze(1)
