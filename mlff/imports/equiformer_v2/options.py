"""The options of the public EquiformerV2 code, and the configuration that they mean here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from mlff.artifacts.errors import ArtifactError
from mlff.equiformer import EquiformerConfig
from mlff.support.settings import Section

# Constants of the public code that no configuration carries.
_NUM_GAUSSIANS = 600
_AVG_NUM_NODES = 77.81317
_AVG_DEGREE = 23.395238876342773

_FINEST_GRID = 100  # points per axis; published models have 18, and a much finer one would fill the memory

_Size = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_OneInteger = Annotated[tuple[int, ...], Field(min_length=1, max_length=1)]


class PublicOptions(Section):
    """Constructor arguments of the public model with their defaults; a single allowed value means no other one works.

    Not read, as by the public code: ``num_distance_basis`` (there are 600 Gaussians), the activations (always SiLU) and
    ``num_sphere_samples``. Of no meaning for predictions: initialisation, dropout, graphs made in advance, gradient
    checkpointing, and ``use_denoising_energy`` and ``use_denoising_stress``, which act on corrupted structures only.
    """

    max_neighbors: _Size = 500
    max_radius: _Positive = 5.0
    max_num_elements: int = Field(90, ge=2)
    num_layers: _Size = 12
    sphere_channels: _Size = 128
    attn_hidden_channels: _Size = 128
    num_heads: _Size = 8
    attn_alpha_channels: _Size = 32
    attn_value_channels: _Size = 16
    ffn_hidden_channels: _Size = 512
    norm_type: Literal["layer_norm_sh", "rms_norm_sh", "layer_norm"] = "rms_norm_sh"
    lmax_list: _OneInteger = (6,)
    mmax_list: _OneInteger = (2,)
    grid_resolution: int | None = Field(None, le=_FINEST_GRID)
    edge_channels: _Size = 128
    use_atom_edge_embedding: bool = True
    share_atom_edge_embedding: bool = False
    use_m_share_rad: bool = False
    distance_function: Literal["gaussian"] = "gaussian"
    use_attn_renorm: bool = True
    use_gate_act: bool = False
    use_grid_mlp: bool = False
    use_sep_s2_act: bool = True
    alpha_drop: float = 0.1
    drop_path_rate: float = 0.05
    avg_num_nodes: float | None = None
    avg_degree: float | None = None
    use_energy_lin_ref: bool | None = False
    load_energy_lin_ref: bool | None = False
    regress_forces: Literal[True] = True
    use_pbc: Literal[True] = True
    enforce_max_neighbors_strictly: bool = True
    use_s2_act_attn: Literal[False] = False
    use_tp_reparam: Literal[False] = False
    use_noise_schedule_sigma_encoding: Literal[False] = False
    use_force_encoding: bool = True

    num_distance_basis: int = 512
    num_sphere_samples: int = 128
    attn_activation: str = "scaled_silu"
    ffn_activation: str = "scaled_silu"
    proj_drop: float = 0.0
    weight_init: str = "normal"
    use_pbc_single: bool = False
    otf_graph: bool = True
    activation_checkpoint: bool | None = False
    use_denoising_energy: bool = True
    use_denoising_stress: bool = True

    @model_validator(mode="after")
    def _check(self) -> PublicOptions:
        if self.share_atom_edge_embedding and not self.use_atom_edge_embedding:
            raise ValueError("share_atom_edge_embedding = True needs use_atom_edge_embedding = True")
        if self.use_energy_lin_ref and not self.load_energy_lin_ref:
            raise ValueError("use_energy_lin_ref = True needs load_energy_lin_ref = True")
        return self

    def backbone(self) -> EquiformerConfig:
        """The same model in the names of this project.

        Raises:
            ValidationError: sizes that are out of range.
        """
        activation = "gate" if self.use_gate_act else "separable_s2" if self.use_sep_s2_act else "s2"
        grid_mlp = "grid_mlp" if self.use_sep_s2_act else "joint_grid_mlp"
        embeddings = "shared" if self.share_atom_edge_embedding else "separate"
        return EquiformerConfig.model_validate(
            {
                "num_layers": self.num_layers,
                "lmax": self.lmax_list[0],
                "mmax": self.mmax_list[0],
                "channels": self.sphere_channels,
                "hidden_channels": self.attn_hidden_channels,
                "num_heads": self.num_heads,
                "alpha_channels": self.attn_alpha_channels,
                "value_channels": self.attn_value_channels,
                "ffn_channels": self.ffn_hidden_channels,
                "edge_channels": self.edge_channels,
                "cutoff": self.max_radius,
                "max_neighbors": self.max_neighbors,
                "max_neighbors_strict": self.enforce_max_neighbors_strictly,
                "radial_basis": "gaussian",
                "num_radial": _NUM_GAUSSIANS,
                "radial_weights": "degree" if self.use_m_share_rad else "order",
                "edge_elements": embeddings if self.use_atom_edge_embedding else "none",
                "edge_activation": activation,
                "feed_forward": grid_mlp if self.use_grid_mlp else activation,
                "norm": "merged" if self.norm_type == "rms_norm_sh" else self.norm_type,
                "attention_norm": self.use_attn_renorm,
                "grid_resolution": self.grid_resolution or "minimal",
                "max_num_elements": self.max_num_elements,
                "avg_degree": self.avg_degree or _AVG_DEGREE,
                "alpha_dropout": self.alpha_drop,
                "drop_path": self.drop_path_rate,
            }
        )

    @property
    def avg_num_atoms(self) -> float:
        """Divisor of the energy."""
        return self.avg_num_nodes or _AVG_NUM_NODES


def read_options(values: Mapping[str, Any], where: str) -> PublicOptions:
    """Validated options.

    Raises:
        ArtifactError: one message with all options that are unknown, of the wrong kind or not supported.
    """
    try:
        options = PublicOptions.model_validate(values)
        options.backbone()
    except ValidationError as error:
        unknown, faults = [], []
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"])
            if fault["type"] == "extra_forbidden":
                unknown.append(name)
            elif name:
                given = " ".join(repr(fault["input"]).split())  # a tensor prints on several lines
                faults.append(f"{name} = {given:.80}: {fault['msg']}")
            else:
                faults.append(fault["msg"])
        if unknown:
            faults.insert(0, f"unknown: {', '.join(sorted(unknown))}")
        raise ArtifactError(f"{where}: options that cannot be imported: {'; '.join(faults)}") from error
    return options
