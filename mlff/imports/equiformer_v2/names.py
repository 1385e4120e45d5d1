"""Names of parameters: those of the public EquiformerV2 code, and those of this project."""

from __future__ import annotations

import re

from mlff.equiformer import EquiformerConfig

# Buffers of the public code: tables that follow from the options.
_BUFFER = re.compile(
    r"(^|\.)(SO3_rotation|SO3_grid|mappingReduced|mapping)\.(?!.*\b(weight|bias)$)"
    r"|(^|\.)(expand_index|balance_degree_weight)$|^distance_expansion\.offset$"
)
_WRAPPERS = r"(module\.)*"
_PREFIX = re.compile(rf"{_WRAPPERS}((backbone|output_heads\.[^.]+|\w+_head)\.{_WRAPPERS})?")
_HEAD_BLOCKS = {"scalar_block": "energy_block", "vector_block": "force_block"}

# From names of this project to public ones, applied in turn.
_RULES = (
    (r"^(potential\.)?(backbone\.)?", ""),
    (r"^embedding\.", "sphere_embedding."),
    (r"^energy_head\.network\.", "energy_block."),
    (r"^force_head\.attention\.", "force_block."),
    (r"^noise_head\.attention\.", "denoising_pos_block."),
    (r"^force_encoding\.", "force_embedding."),
    (r"^degree_embedding\.radial\.(\w+_embedding)\.", r"edge_degree_embedding.\1."),
    (r"^degree_embedding\.radial\.", "edge_degree_embedding.rad_func."),
    (r"(blocks\.\d+)\.attention\.", r"\1.ga."),
    (r"(blocks\.\d+)\.feed_forward\.", r"\1.ffn."),
    # norms
    (r"\.norm([12])\.", r".norm_\1."),
    (r"(^norm|\.norm_[12])\.(weight|bias)$", r"\1.affine_\2"),
    (r"\.scalar_norm\.", ".norm_l0."),
    # attention
    (r"\.merge\.radial\.(\w+_embedding)\.", r".\1."),
    (r"\.conv([12])\.linear0\.", r".so2_conv_\1.fc_m0."),
    (r"\.conv([12])\.linears\.(\d+)\.", r".so2_conv_\1.so2_m_conv.\2.fc."),
    (r"\.projection\.", ".proj."),
    # feed-forward networks
    (r"(\.ffn|energy_block)\.input\.", r"\1.so3_linear_1."),
    (r"(\.ffn|energy_block)\.output\.", r"\1.so3_linear_2."),
    (r"\.grid_in\.", ".grid_mlp.0."),
    (r"\.grid_hidden\.", ".grid_mlp.2."),
    (r"\.grid_out\.", ".grid_mlp.4."),
    (r"\.gate\.", ".gating_linear."),
)


def is_buffer(name: str) -> bool:
    """Whether a plain public name is one of a constant table, which is computed here."""
    return _BUFFER.search(name) is not None


def plain_name(name: str) -> str:
    """A name in a file without the prefixes of wrappers and of the parts of newer models.

    ``module.module.blocks.0.norm_1.affine_weight`` and ``module.backbone.blocks.0.norm_1.affine_weight`` become
    ``blocks.0.norm_1.affine_weight``; ``output_heads.forces.vector_block.proj.bias`` becomes ``force_block.proj.bias``.
    Wrappers may follow the part as well: fairchem 1.2 converted ``module.module.*`` to ``module.backbone.module.*``.
    """
    block, dot, rest = _PREFIX.sub("", name, count=1).partition(".")
    return _HEAD_BLOCKS.get(block, block) + dot + rest


def public_name(name: str, config: EquiformerConfig) -> str:
    """Plain public name of a parameter of a potential with direct forces, or of one with DeNS."""
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    name = name.replace(
        ".merge.radial.", ".rad_func." if config.radial_weights == "degree" else ".so2_conv_1.rad_func."
    )
    name = name.replace("rad_func.input.", "rad_func.net.0.")
    name = re.sub(r"rad_func\.hidden\.(\d+)\.", lambda match: f"rad_func.net.{int(match[1]) + 1}.", name)
    grid_mlp = config.feed_forward.endswith("grid_mlp")
    return name.replace(".scalar_mlp.", ".scalar_mlp.0." if grid_mlp else ".gating_linear.")
