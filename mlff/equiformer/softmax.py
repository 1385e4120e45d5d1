"""Attention weights: softmax over the incoming edges of each node."""

import torch
from torch import Tensor


def _segment_max(logits: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    peak = torch.full((num_nodes, logits.shape[1]), -1e30, dtype=logits.dtype, device=logits.device)
    return peak.scatter_reduce(0, target[:, None].expand_as(logits), logits.detach(), "amax")


def segment_softmax(logits: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """w_e = e^{s_e} / Σ_{e'} e^{s_e'}, the sum over the edges e' that share the target of e; [E,heads] → [E,heads].

    The largest s of each target is subtracted from all, which cancels and keeps the exponentials finite.
    """
    peak = _segment_max(logits, target, num_nodes)
    weight = torch.exp(logits - peak.index_select(0, target))
    total = torch.zeros_like(peak).index_add(0, target, weight)
    return weight / total.index_select(0, target)


def envelope_softmax(logits: Tensor, envelope: Tensor, null_logit: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """Softmax whose weights fade out smoothly at the cutoff, also for the last neighbour.

    w_e = u_e · u_e e^{s_e} / (e^b + Σ_{e'} u_{e'} e^{s_{e'}})

    One envelope stands inside the softmax and one on the message (EquiformerV3, arXiv:2604.09130). Without the null
    mass e^b a lone neighbour would keep the weight u until it leaves; with it, it fades as u² (DPA4).

    ======  ==============  ============================================
    symbol  variable        meaning
    ======  ==============  ============================================
    s       ``logits``      [E,heads]
    u       ``envelope``    [E], zero at the cutoff with two derivatives
    b       ``null_logit``  [heads], learned
    e'      ``target``      [E] int64, edges of one target share a sum
    ======  ==============  ============================================

    A neighbour, one at the cutoff, and a null mass as large as the first:

    >>> zeros, target = torch.zeros(2, 1), torch.tensor([0, 0])
    >>> envelope_softmax(zeros, torch.tensor([1.0, 0.0]), torch.zeros(1), target, 1).flatten()
    tensor([0.5000, 0.0000])

    Args:
        num_nodes: N, targets are below it.

    Returns:
        [E,heads].
    """
    peak = torch.maximum(_segment_max(logits, target, num_nodes), null_logit.detach())  # cancels, as above
    weight = envelope[:, None] * torch.exp(logits - peak.index_select(0, target))
    total = torch.exp(null_logit - peak).index_add(0, target, weight)
    return envelope[:, None] * weight / total.index_select(0, target)
