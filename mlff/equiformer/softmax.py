"""Attention weights: softmax over the incoming edges of each node."""

import torch
from torch import Tensor


def _segment_max(logits: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    peak = torch.full((num_nodes, logits.shape[1]), -1e30, dtype=logits.dtype, device=logits.device)
    return peak.scatter_reduce(0, target[:, None].expand_as(logits), logits.detach(), "amax")


def segment_softmax(logits: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """Softmax of [E,heads] over the edges that share a target."""
    weight = torch.exp(logits - _segment_max(logits, target, num_nodes).index_select(0, target))
    total = torch.zeros(num_nodes, weight.shape[1], dtype=weight.dtype, device=weight.device)
    return weight / total.index_add(0, target, weight).index_select(0, target)


def envelope_softmax(logits: Tensor, envelope: Tensor, null_logit: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """Softmax whose weights fade out smoothly at the cutoff, also for the last neighbour.

    w_e = u_e² e^{s_e} / (Σ u e^{s} + e^{b}): one envelope inside the softmax, one on the message (EquiformerV3), and a
    learned null mass e^b, without which a lone neighbour would keep the weight u until it leaves (DPA4).

    Args:
        logits: [E,heads] s.
        envelope: [E] u, zero at the cutoff with two derivatives.
        null_logit: [heads] b.
        target: [E] int64.
        num_nodes: N.
    """
    peak = torch.maximum(_segment_max(logits, target, num_nodes), null_logit.detach())
    weight = torch.exp(logits - peak.index_select(0, target)) * envelope[:, None]
    total = torch.exp(null_logit - peak).index_add(0, target, weight)
    return weight * envelope[:, None] / total.index_select(0, target)
