"""Radial functions as tables: values and two derivatives at equidistant knots, for each pair of elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlff.native.weights import pad

#: Largest deviation of a table from its function, both times the envelope, relative to the largest of its values.
ERROR = {torch.float32: 1e-7, torch.float64: 1e-10}
FEWEST, SMALLEST = 64, 1e-3  # intervals; their length in Å

Jet = tuple[Tensor, Tensor, Tensor]  # a function of the distance with its first and second derivative


def radial_tables(potential: Any, layer: int, pairs: Tensor, error: float) -> NDArray[np.float64]:
    """f, h f' and h² f'' at knots h apart from 0 to the cutoff, [pairs, knots, 3, padded width].

    Quintic Hermite interpolation between them deviates by no more than ``error``; so many knots are taken. The envelope
    counts, since layer norms make the functions steep at the cutoff, where all of their inputs vanish.

    Args:
        layer: 0 for the degree embedding, from 1 for the layers.
        pairs: [pairs, 2], rows of the embeddings of source and target.
    """
    config = potential.config.backbone
    knots = torch.linspace(0.0, config.cutoff, FEWEST + 1, dtype=torch.float64)
    jet, envelope = _jets(potential, layer, pairs, knots), potential.backbone.envelope
    while True:
        h = float(knots[1])
        f, df, ddf = jet
        middles = knots[:-1] + 0.5 * h
        exact = _jets(potential, layer, pairs, middles)
        # the polynomials of Hermite at the middle of an interval
        found = 0.5 * (f[:, :-1] + f[:, 1:]) + 5 / 32 * h * (df[:, :-1] - df[:, 1:])
        found += h * h / 64 * (ddf[:, :-1] + ddf[:, 1:])
        fading = envelope(middles / config.cutoff)[:, None]  # what the functions are always multiplied by
        if bool(((found - exact[0]) * fading).abs().max() <= error * (exact[0] * fading).abs().max()) or h < SMALLEST:
            break
        knots = _between(knots[None, :, None], middles[None, :, None])[0, :, 0]
        jet = _between(f, exact[0]), _between(df, exact[1]), _between(ddf, exact[2])
    parts = (2 * (config.lmax + 1), config.message_channels or config.channels)
    if layer == 0:
        parts = (config.lmax + 1, config.channels)
    return pad(torch.stack([f, h * df, h * h * ddf], 2), 3, parts)


def _between(ends: Tensor, middles: Tensor) -> Tensor:
    """[P, n + 1, W] and [P, n, W], taking turns along the second axis."""
    pairs = torch.stack([ends[:, :-1], middles], 2).flatten(1, 2)
    return torch.cat([pairs, ends[:, -1:]], 1)


def _jets(potential: Any, layer: int, pairs: Tensor, distance: Tensor) -> Jet:
    """Of the radial functions [pairs, knots, width] at distances [knots], in float64."""
    backbone: Any = potential.backbone
    embedding = backbone.degree_embedding
    radial = backbone.blocks[layer - 1].attention.merge.radial if layer else embedding.radial
    x: Any = [part.expand(len(pairs), -1, -1) for part in _basis(backbone.basis, distance)]
    source, target = radial.source_embedding, radial.target_embedding
    if source is None:
        source, target = backbone.source_embedding, backbone.target_embedding
    if source is not None:
        known = torch.cat([source.weight[pairs[:, 0]], target.weight[pairs[:, 1]]], 1).double()
        known = known[:, None].expand(-1, len(distance), -1)
        x = [torch.cat([part, known if order == 0 else torch.zeros_like(known)], 2) for order, part in enumerate(x)]
    for module in (radial.input, *radial.hidden):
        x = _through(module, x)
    if layer == 0:
        factor = (embedding.rescaling / embedding.avg_degree).repeat_interleave(embedding.channels)
        x = [part * factor for part in x]
    return x[0], x[1], x[2]


def _basis(basis: nn.Module, distance: Tensor) -> Jet:
    with torch.enable_grad():
        d = distance.clone().requires_grad_()
        values = basis(d)
        jets = []
        for n in range(values.shape[1]):
            (first,) = torch.autograd.grad(values[:, n].sum(), d, create_graph=True)
            (second,) = torch.autograd.grad(first.sum(), d, retain_graph=True)
            jets.append(torch.stack([values[:, n], first, second]).detach())
    value, first, second = torch.stack(jets, dim=2)
    return value, first, second


def _through(module: nn.Module, x: Jet) -> Jet:
    """The jet of a layer of that of its input."""
    f, df, ddf = x
    if isinstance(module, nn.Linear):
        weight = module.weight.double().t()
        return f @ weight + module.bias.double(), df @ weight, ddf @ weight
    if isinstance(module, nn.SiLU):
        s = torch.sigmoid(f)
        slope, bend = s * (1 + f * (1 - s)), s * (1 - s) * (2 + f * (1 - 2 * s))
        return f * s, slope * df, bend * df**2 + slope * ddf
    if isinstance(module, nn.LayerNorm):
        f, df, ddf = (x - x.mean(-1, keepdim=True) for x in x)
        power = f.square().mean(-1, keepdim=True) + module.eps
        dp, ddp = 2 * (f * df).mean(-1, keepdim=True), 2 * (df * df + f * ddf).mean(-1, keepdim=True)
        r = power.rsqrt()
        dr, ddr = -0.5 * r**3 * dp, 0.75 * r**5 * dp**2 - 0.5 * r**3 * ddp
        weight, bias = module.weight.double(), module.bias.double()
        return f * r * weight + bias, (df * r + f * dr) * weight, (ddf * r + 2 * df * dr + f * ddr) * weight
    return x
