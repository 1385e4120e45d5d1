"""Sizes that options ask for against those that a file holds, compared before anything is built from them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.equiformer import EquiformerConfig
from mlff.imports.equiformer_v2.options import PublicOptions

_SIZES = (
    *("num_layers", "sphere_channels", "attn_hidden_channels", "num_heads", "attn_alpha_channels"),
    *("attn_value_channels", "ffn_hidden_channels", "edge_channels", "max_num_elements", "lmax_list"),
)
_EXCESS = 4  # up to here the list of what is missing or of another shape says more


def check_sizes(options: PublicOptions, parameters: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Make sure that the model is not much larger than its file, so that building it is safe.

    Raises:
        ArtifactError: it is, or the tensors claim more numbers than the file has bytes.
    """
    held, size = sum(value.numel() for value in parameters.values()), os.path.getsize(path)
    if held > size:
        largest = max(parameters, key=lambda name: parameters[name].numel())
        raise ArtifactError(
            f"{path}: state_dict claims {held:,} numbers in a file of {size:,} bytes, most of them in {largest}; save "
            "the file again with tensors that are not expanded"
        )
    needed = fewest_parameters(options.backbone())
    if needed > _EXCESS * held:
        blocks = len({name.split(".")[1] for name in parameters if name.startswith("blocks.")})
        asked = ", ".join(f"{name} = {_plain(getattr(options, name))}" for name in _SIZES)
        raise ArtifactError(
            f"{path}: the options ask for more than {needed:,} parameters, but state_dict holds {held:,} in {blocks} "
            f"blocks; they belong to another model, or one of them is wrong: {asked}"
        )


def fewest_parameters(config: EquiformerConfig) -> int:
    """Number of parameters in the large matrices of a public model, which are most of all that it has.

    Args:
        config: with embeddings by atomic number, as public models have.
    """
    degrees, channels, edges = config.lmax + 1, config.channels, config.edge_channels
    logits, values = config.num_heads * config.alpha_channels, config.num_heads * config.value_channels
    embedding = (config.max_num_elements or 0) * edges
    radial = edges * (config.num_edge_inputs + edges + 2 * degrees * channels)
    if config.edge_elements == "separate":
        radial += 2 * embedding
    # an SO(2) convolution mixes the degrees of each order, and of m > 0 real and imaginary parts
    orders = degrees**2 + sum(2 * (degrees - m) ** 2 for m in range(1, config.mmax + 1))
    convolutions = orders * config.hidden_channels * (2 * channels + values) + 2 * degrees * channels * logits
    hidden = config.ffn_channels
    feed_forward = degrees * channels * hidden
    if config.feed_forward.endswith("grid_mlp"):
        feed_forward += 3 * hidden**2
    heads = radial + convolutions + feed_forward
    block = heads + degrees * channels * (values + hidden)
    return (config.max_num_elements or 0) * channels + 2 * embedding + config.num_layers * block + heads


def _plain(value: int | tuple[int, ...]) -> str:
    return str(list(value) if isinstance(value, tuple) else value)
