"""Equivariant graph attention."""

import math
from typing import List, Tuple

import torch
from torch import Tensor, nn

from mlff.equiformer.config import EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.equiformer.grids import sphere_grid
from mlff.equiformer.radial import RadialFunction
from mlff.equiformer.softmax import envelope_softmax, segment_softmax
from mlff.irreps import (
    GateActivation,
    S2Activation,
    SeparableS2Activation,
    SO2Convolution,
    SO3Linear,
    SwiGLUS2Activation,
    m_major_pairs,
    num_edge_rows,
    order_rescaling,
    order_sizes,
)


def _edge_activation(
    config: EquiformerConfig, mmax: int
) -> GateActivation | S2Activation | SeparableS2Activation | SwiGLUS2Activation:
    if config.edge_activation == "gate":
        return GateActivation(config.lmax, mmax, config.hidden_channels)
    grid = sphere_grid(config, mmax)
    if config.edge_activation == "swiglu_s2":
        return SwiGLUS2Activation(grid, config.lmax, mmax, config.hidden_channels)
    if config.edge_activation == "s2":
        return S2Activation(grid, config.lmax, mmax, config.hidden_channels)
    return SeparableS2Activation(grid, config.lmax, mmax, config.hidden_channels)


class EdgeMerge(nn.Module):
    """Source and target features, weighted by radial functions, in the edge frame.

    x_e = D_e [R(d_e) ⊙ x_j | R'(d_e) ⊙ x_i] for e: j → i, or the sum of the two where ``merge`` is add. Radial weights
    per (l, |m|) act after the rotation D; those per l commute with it and act before, on fewer rows.

    With ``message_channels`` the node features are first mapped to fewer channels: nodes are few and edges many, so
    this halves the traffic on edges at the price of two small products on nodes.
    """

    weight_of_row: Tensor

    def __init__(self, config: EquiformerConfig, num_species: int, mmax: int) -> None:
        super().__init__()
        self.add = config.merge == "add"
        self.by_order = config.radial_weights == "order"
        self.channels = config.message_channels or config.channels
        self.out_channels = self.channels if self.add else 2 * self.channels
        self.source_map, self.target_map = (
            nn.Identity() if config.message_channels is None else SO3Linear(config.channels, self.channels, config.lmax)
            for _ in range(2)
        )
        if self.by_order:  # one weight per (l, |m|), numbered as m-major order meets them
            pairs = m_major_pairs(config.lmax, mmax)
            known = [pair for pair in pairs if pair[1] >= 0]
            index = torch.tensor([known.index((degree, abs(m))) for degree, m in pairs])
            self.num_weights = len(known)
        else:
            index = torch.zeros(0)
            self.num_weights = config.lmax + 1
        self.register_buffer("weight_of_row", index, persistent=False)
        self.degree_sizes = [2 * degree + 1 for degree in range(config.lmax + 1)]
        self.radial = RadialFunction(config, num_species, self.num_weights * 2 * self.channels)

    def forward(self, x: Tensor, graph: GraphContext, wigner: Tensor) -> Tensor:
        """Node features [N,(lmax+1)²,C] to edge features [E,T,out_channels]."""
        weights = self.radial(graph).view(graph.source.shape[0], 2 * self.num_weights, self.channels)
        source = self.source_map(x).index_select(0, graph.source)
        target = self.target_map(x).index_select(0, graph.target)
        if self.by_order:
            weights = weights.view(weights.shape[0], self.num_weights, 2 * self.channels)
            weights = weights.index_select(1, self.weight_of_row)
            return torch.bmm(wigner, torch.cat([source, target], dim=2)) * weights
        # rows of weights: (l, source or target); a weight per degree commutes with the rotation
        sources, targets = source.split(self.degree_sizes, dim=1), target.split(self.degree_sizes, dim=1)
        of_degree = weights.unsqueeze(2).unbind(1)
        merged: List[Tensor] = []
        for degree in range(len(self.degree_sizes)):
            of_source = sources[degree] * of_degree[2 * degree]
            of_target = targets[degree] * of_degree[2 * degree + 1]
            merged.append(of_source + of_target if self.add else torch.cat([of_source, of_target], dim=2))
        return torch.bmm(wigner, torch.cat(merged, dim=1))


class GraphAttention(nn.Module):
    """Messages by two SO(2) convolutions in the edge frame, weighted by attention, summed at the target.

    EquiformerV2 (Liao et al., arXiv:2306.12059, section 4), for every edge e: j → i and head h::

        h_e, f_e, g_e = SO2₁(x_e)                          x_e of EdgeMerge
        v_e           = SO2₂(act(h_e; g_e))
        s_e^h         = a^h · φ(LayerNorm(f_e^h))          φ(x) = 0.2 x + 0.8 x sigmoid(x)
        w_e           = softmax_e(s_e)                     or with envelope and null mass, or the envelope alone
        y_i           = P Σ_e D_eᵀ (w_e ⊙ v_e)

    ===========  ====================  =======================================================
    symbol       variable              meaning
    ===========  ====================  =======================================================
    SO2₁, SO2₂   ``conv1``, ``conv2``  :class:`mlff.irreps.SO2Convolution`
    h, g         ``blocks, scalars``   order blocks and the scalars of their activation
    act          ``activation``        gate, or a non-linearity on the sphere
    f            ``logit_features``    [E,heads·A], invariant to rolls
    a            ``alpha_dot``         [heads,A]
    s            ``logits``            [E,heads]
    w            ``weights``           [E,heads], see :func:`mlff.equiformer.softmax.envelope_softmax`
    v            ``values``            [E,T,heads·V] in the edge frame
    D            ``wigner``            [E,T,(lmax+1)²]
    P            ``projection``        linear map per degree
    ===========  ====================  =======================================================

    Args:
        config: hyper-parameters.
        num_species: rows of the element embeddings.
        out_channels: C for a layer, 1 for a vector head.
        scalars_only: compute the l = 0 output only. With gates scalars read nothing but the m = 0 rows, so the
            rotation, both convolutions and the projection shrink accordingly.
    """

    rescaling: Tensor

    def __init__(
        self, config: EquiformerConfig, num_species: int, out_channels: int, scalars_only: bool = False
    ) -> None:
        super().__init__()
        lmax = config.lmax
        mmax = 0 if scalars_only and config.edge_activation == "gate" else config.mmax
        self.num_heads, self.alpha_channels = config.num_heads, config.alpha_channels
        self.value_channels = config.value_channels
        self.scalars_only = scalars_only
        self.num_rows = num_edge_rows(lmax, mmax)
        self.attends = config.attention != "none"
        self.envelope = config.attention == "envelope"

        self.merge = EdgeMerge(config, num_species, mmax)
        self.activation = _edge_activation(config, mmax)
        num_logit_features = config.num_heads * config.alpha_channels if self.attends else 0
        self.split_extra = [num_logit_features, self.activation.num_scalars]
        self.conv1 = SO2Convolution(
            self.merge.out_channels,
            self.activation.in_channels,
            lmax,
            mmax,
            num_extra=sum(self.split_extra),
            parity=config.parity,
        )
        self.split_orders = [size * self.merge.out_channels for size in order_sizes(lmax, mmax)]
        self.num_values = config.num_heads * config.value_channels
        self.conv2 = SO2Convolution(
            config.hidden_channels, self.num_values, lmax, mmax, parity=config.parity, scalars_only=scalars_only
        )
        self.projection = SO3Linear(self.num_values, out_channels, 0 if scalars_only else lmax)
        normed = config.attention_norm and self.attends
        self.alpha_norm = nn.LayerNorm(config.alpha_channels) if normed else nn.Identity()
        bound = 1.0 / math.sqrt(config.alpha_channels)
        heads = config.num_heads if self.attends else 0
        self.alpha_dot = nn.Parameter(torch.empty(heads, config.alpha_channels).uniform_(-bound, bound))
        # without an envelope there is no null mass, and no parameter
        self.null_logit = nn.Parameter(torch.zeros(config.num_heads if self.envelope else 0))
        self.alpha_dropout = nn.Dropout(config.alpha_dropout)
        self.rescale = config.rescale_orders and not scalars_only
        self.register_buffer("rescaling", order_rescaling(lmax, mmax)[:, None], persistent=False)

    def attention_weights(self, logit_features: Tensor, graph: GraphContext, num_nodes: int) -> Tensor:
        """Weights w [E,heads] from logit features f [E,heads·A]."""
        num_edges = logit_features.shape[0]
        if not self.attends:
            return graph.envelope[:, None].expand(num_edges, self.num_heads)
        x = self.alpha_norm(logit_features.view(num_edges, self.num_heads, self.alpha_channels))
        x = 0.2 * x + 0.8 * x * torch.sigmoid(x)
        logits = (self.alpha_dot * x).sum(dim=-1)
        if self.envelope:
            weights = envelope_softmax(logits, graph.envelope, self.null_logit, graph.target, num_nodes)
        else:
            weights = segment_softmax(logits, graph.target, num_nodes)
        return self.alpha_dropout(weights)

    def messages(self, x: Tensor, graph: GraphContext, wigner: Tensor) -> Tuple[Tensor, Tensor]:
        """Values v [E,T,heads·V] in the edge frame, and the logit features f [E,heads·A]."""
        num_edges = wigner.shape[0]
        merged = self.merge(x, graph, wigner).view(num_edges, sum(self.split_orders))
        blocks, extra = self.conv1(list(merged.split(self.split_orders, dim=1)))
        logit_features, scalars = extra.split(self.split_extra, dim=1)
        blocks, _ = self.conv2(self.activation(blocks, scalars))
        values = torch.cat(blocks, dim=1) if len(blocks) > 1 else blocks[0]
        return values.view(num_edges, values.shape[1] // self.num_values, self.num_values), logit_features

    def forward(self, x: Tensor, graph: GraphContext) -> Tensor:
        """[N,(lmax+1)²,C] → [N,(lmax+1)²,out_channels], or [N,1,out_channels] for scalars only."""
        num_nodes = x.shape[0]
        wigner = graph.wigner[:, : self.num_rows]
        values, logit_features = self.messages(x, graph, wigner)
        weights = self.attention_weights(logit_features, graph, num_nodes)
        values = weights.repeat_interleave(self.value_channels, dim=1)[:, None] * values
        if not self.scalars_only:  # l = 0 is the same in both frames
            if self.rescale:
                values = values * self.rescaling.to(values.dtype)
            values = torch.bmm(wigner.transpose(1, 2), values)
        out = torch.zeros(num_nodes, values.shape[1], values.shape[2], dtype=values.dtype, device=values.device)
        return self.projection(out.index_add(0, graph.target, values))
