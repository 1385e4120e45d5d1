"""The weights of a potential, padded and named for the native library."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlff.irreps.constants import clebsch_gordan
from mlff.native.library import Sizes

Floats = NDArray[np.float64]
PAD = 16  # kPad of native/simd.hpp


def padded(size: int) -> int:
    """The next multiple of the padding."""
    return -(-size // PAD) * PAD


def pad(x: Tensor | Floats, axis: int, *parts: tuple[int, int]) -> Floats:
    """Zeros behind each of the parts (count, size) of an axis, so that each size becomes a multiple of the padding."""
    x = np.asarray(x.detach().double() if isinstance(x, Tensor) else x, dtype=np.float64)
    pieces, start = [], 0
    for count, size in parts:
        for _ in range(count):
            piece = np.take(x, range(start, start + size), axis)
            pieces.append(np.pad(piece, [(0, padded(size) - size if a == axis % x.ndim else 0) for a in range(x.ndim)]))
            start += size
    if start != x.shape[axis]:
        raise ValueError(f"parts of {start} in an axis of {x.shape[axis]}")
    return np.concatenate(pieces, axis)


def sizes(potential: Any) -> Sizes:
    """Sizes of a potential."""
    c, backbone = potential.config.backbone, potential.backbone
    message = c.message_channels or c.channels
    return Sizes(
        lmax=c.lmax,
        mmax=c.mmax,
        layers=c.num_layers,
        species=len(potential.config.species),
        channels=padded(c.channels),
        channels_real=c.channels,
        message=padded(message),
        hidden=padded(c.hidden_channels),
        heads=c.num_heads,
        alpha=c.alpha_channels,
        value=c.value_channels,
        logits=c.num_heads * padded(c.alpha_channels) if c.attention == "envelope" else 0,
        values=padded(c.num_heads * c.value_channels),
        ffn=padded(c.ffn_channels),
        head=padded(c.ffn_channels),
        points=_grid(potential).to_matrix.shape[0] if c.feed_forward == "product" else 0,
        attention=c.attention == "envelope",
        attention_norm=c.attention_norm,
        merged_norm=c.norm == "merged",
        parity=c.parity,
        product=c.feed_forward == "product",
        scalars_only=backbone.scalars_only,
        repulsion=potential.repulsion is not None,
        cutoff=c.cutoff,
        energy_scale=float(potential.scale) / potential.energy_head.divisor,
        energy_offset=float(potential.energy_offset),
    )


def species_rows(potential: Any) -> NDArray[np.int64]:
    """Row of the embedding of each species of the configuration."""
    return potential.species_of_number[list(potential.config.species)].numpy()


def weights(potential: Any) -> dict[str, Floats]:
    """All weights by name, float64; the names are those of the modules."""
    c, backbone = potential.config.backbone, potential.backbone
    numbers = list(potential.config.species)
    out = {
        "embedding": pad(backbone.embedding.weight[species_rows(potential)], 1, (1, c.channels)),
        "reference_energies": potential.reference_energies[numbers].numpy(),
        "couplings": backbone.frame.couplings.numpy(),
        **_generators(c.lmax),
        **_norm("norm", backbone.norm),
    }
    for index, block in enumerate(backbone.blocks):
        out |= {f"blocks.{index}.{name}": value for name, value in _block(potential, block).items()}
    network: Any = potential.energy_head.network
    out |= _linear("head.0", network[0], [(1, c.channels)], [(1, c.ffn_channels)])
    out |= {"head.2.weight": pad(network[2].weight[0], 0, (1, c.ffn_channels)), "head.2.bias": _array(network[2].bias)}
    if c.feed_forward == "product":
        grid = _grid(potential)
        out |= {"to_grid": grid.to_matrix.numpy(), "from_grid": grid.from_matrix.t().contiguous().numpy()}
    zbl = potential.repulsion
    if zbl is not None:
        constants = [zbl.coulomb, zbl.length, *zbl.amplitudes, *zbl.rates]
        out |= {
            "charges": zbl.charges[numbers].numpy(),
            "radii": zbl.radii[numbers].numpy(),
            "zbl": np.array(constants),
        }
    return {name: np.ascontiguousarray(value, dtype=np.float64) for name, value in out.items()}


def _array(x: Tensor) -> Floats:
    return x.detach().double().numpy()


def _grid(potential: Any) -> Any:
    return potential.backbone.blocks[0].feed_forward.grid


def _linear(name: str, layer: Any, inputs: Any, outputs: Any) -> dict[str, Floats]:
    """A linear map, or one for each degree."""
    weight, made = layer.weight.detach().double(), {}
    made[f"{name}.weight"] = pad(pad(weight, -1, *inputs), -2, *outputs)
    if layer.bias is not None:
        made[f"{name}.bias"] = pad(layer.bias, 0, *outputs)
    return made


def _norm(name: str, norm: Any) -> dict[str, Floats]:
    if not hasattr(norm, "weight"):
        return {}
    channels = (1, norm.bias.shape[0])
    return {f"{name}.weight": pad(norm.weight, 1, channels), f"{name}.bias": pad(norm.bias, 0, channels)}


def _block(potential: Any, block: Any) -> dict[str, Floats]:
    c, attention = potential.config.backbone, block.attention
    heads, channels, hidden, degrees = c.num_heads, (1, c.channels), c.hidden_channels, c.lmax + 1
    message, values = c.message_channels or c.channels, (1, heads * c.value_channels)
    logits = [(heads, c.alpha_channels)] if c.attention == "envelope" else []
    out = {**_norm("norm1", block.norm1), **_norm("norm2", block.norm2)}
    for side in ("source_map", "target_map"):
        layer = getattr(attention.merge, side)
        if not hasattr(layer, "weight"):  # no map: the identity
            layer = _Map(torch.eye(c.channels).repeat(degrees, 1, 1), torch.zeros(c.channels))
        out |= _linear(f"attention.merge.{side}", layer, [channels], [(1, message)])
    rescaling = attention.rescaling[:, 0] if attention.rescale else None
    out |= _convolution("attention.conv1", attention.conv1, degrees, message, hidden, [*logits, (c.lmax, hidden)], None)
    out |= _convolution("attention.conv2", attention.conv2, degrees, hidden, values[1], [], rescaling)
    out |= _linear("attention.projection", attention.projection, [values], [channels])
    if logits:
        out["attention.alpha_dot"] = pad(attention.alpha_dot, 1, (1, c.alpha_channels)).ravel()
        out["attention.null_logit"] = _array(attention.null_logit)
        if c.attention_norm:
            for which in ("weight", "bias"):
                value = getattr(attention.alpha_norm, which)
                out[f"attention.alpha_norm.{which}"] = pad(value, 0, (1, c.alpha_channels))
    return out | {f"feed_forward.{name}": value for name, value in _feed_forward(c, block.feed_forward).items()}


class _Map:
    """What looks like a linear layer."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias


def _convolution(
    name: str, conv: Any, degrees: int, inputs: int, outputs: int, extra: Any, rescaling: Tensor | None
) -> dict[str, Floats]:
    """SO2Convolution; rows of the result times ``rescaling`` [T], which commutes with the weights of attention."""
    scalars = conv.split_out[1] == outputs
    zero, rows = conv.linear0, 1 if scalars else degrees
    factors = [torch.ones(1)] if rescaling is None else [rescaling]
    scale = torch.ones(zero.weight.shape[0], dtype=torch.float64)
    if rescaling is not None:
        scale[conv.split_out[0] :] = rescaling[:rows].repeat_interleave(outputs)
    scaled = _Map(zero.weight.double() * scale[:, None], zero.bias.double() * scale)
    out = _linear(f"{name}.linear0", scaled, [(degrees, inputs)], [*extra, (rows, outputs)])
    start = degrees
    for index, linear in enumerate(conv.linears):
        count = degrees - 1 - index
        weight, parts = linear.weight.double(), 1
        if not linear.parity:
            real, imaginary = weight.chunk(2, dim=0)
            parts = 2
            weight = torch.cat([torch.cat([real, -imaginary], 1), torch.cat([imaginary, real], 1)], 0)
        if rescaling is not None:
            weight = weight * factors[0][start : start + count].repeat_interleave(outputs).repeat(parts)[:, None]
        start += 2 * count
        layer = _Map(weight, None)
        out |= _linear(f"{name}.linears.{index}", layer, [(parts * count, inputs)], [(parts * count, outputs)])
    return out


def _feed_forward(c: Any, network: Any) -> dict[str, Floats]:
    channels, hidden = (1, c.channels), (1, c.ffn_channels)
    if c.feed_forward == "gate":
        out = _linear("gate", network.gate, [channels], [(c.lmax, c.ffn_channels)])
        lmax_in = 0 if network.scalars_only else c.lmax
        inputs = _Map(network.input.weight[: lmax_in + 1], network.input.bias)
        outputs = _Map(network.output.weight[: lmax_in + 1], network.output.bias)
        return out | _linear("input", inputs, [channels], [hidden]) | _linear("output", outputs, [hidden], [channels])
    # maps of channels commute with the grid, so that those on both of its sides become one
    grid_in, grid_out = network.grid_in.weight.double(), network.grid_out.weight.double()
    inner = _Map(grid_in @ network.input.weight.double(), grid_in @ network.input.bias.double())
    outer = _Map(network.output.weight.double() @ grid_out, network.output.bias)
    return {
        **_linear("input", inner, [channels], [hidden, hidden]),
        **_linear("gate", network.gate, [channels], [hidden]),
        **_linear("scalar_mlp", network.scalar_mlp, [channels], [hidden, hidden]),
        **_linear("output", outer, [hidden], [channels]),
        **_linear("scalar_out", _Map(network.output.weight[0], None), [hidden], [channels]),
    }


def _generators(lmax: int) -> dict[str, Floats]:
    """Of rotations about x, y, z: D(exp(t e_a)) = 1 − t J_a + …, rows of the node layout: what is above the diagonal.

    J of degree l follows from l − 1 and 1 by coupling, as the Wigner matrices do.
    """
    first = [-np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]]) for w in np.eye(3)]
    entries, blocks = [], first
    for degree in range(1, lmax + 1):
        size = 2 * degree + 1
        if degree > 1:
            coupling = clebsch_gordan(degree - 1, 1, degree).reshape(-1, size)
            one, before = np.eye(3), np.eye(size - 2)
            blocks = [
                coupling.T @ (np.kron(j, one) + np.kron(before, j1)) @ coupling
                for j, j1 in zip(blocks, first, strict=True)
            ]
        for axis, block in enumerate(blocks):
            for k, q in zip(*np.triu_indices(size, 1), strict=True):
                if abs(block[k, q]) > 1e-9:
                    entries.append([degree**2 + k, degree**2 + q, axis, block[k, q]])
    return {"generators": np.array(entries).ravel(), "num_generators": np.array([len(entries)])}
