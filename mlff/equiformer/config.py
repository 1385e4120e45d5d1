"""Typed configuration of the EquiformerV2 backbone."""

from typing import Any, Literal

from pydantic import Field, model_validator

from mlff.support.errors import unknown
from mlff.support.settings import Section

#: The published EquiformerV2 models (arXiv:2306.12059; OC20 and OC22 configurations) differ in size only.
#: ``smooth`` is the variant for dynamics: every piece is smooth in the positions and exactly equivariant. It has few
#: radial functions: with 16 its forces broke down 0.05 Å beyond the shortest bonds of the training data.
PRESETS: dict[str, dict[str, Any]] = {
    "equiformer-v2-31M": {"num_layers": 8, "lmax": 4, "mmax": 2},
    "equiformer-v2-83M": {"num_layers": 12, "lmax": 6, "mmax": 2, "drop_path": 0.05},
    "equiformer-v2-153M": {"num_layers": 20, "lmax": 6, "mmax": 3},
    "equiformer-v2-121M-oc22": {"num_layers": 18, "lmax": 6, "mmax": 2, "max_neighbors_strict": False},
    "smooth": {
        "num_layers": 4,
        "lmax": 2,
        "mmax": 2,
        "channels": 64,
        "hidden_channels": 32,
        "num_heads": 4,
        "alpha_channels": 16,
        "value_channels": 8,
        "ffn_channels": 64,
        "edge_channels": 64,
        "cutoff": 5.0,
        "max_neighbors": None,
        "radial_basis": "bessel",
        "num_radial": 8,
        "radial_weights": "degree",
        "message_channels": 32,
        "merge": "add",
        "edge_elements": "separate",
        "edge_activation": "gate",
        "feed_forward": "product",
        "norm": "merged",
        "attention": "envelope",
        "attention_norm": True,
        "parity": True,
        "rescale_orders": False,
        "grid_resolution": None,
        "max_num_elements": None,
        "avg_degree": 1.0,
        "alpha_dropout": 0.0,
        "drop_path": 0.0,
    },
}


class EquiformerConfig(Section):
    """Hyper-parameters of the backbone; the defaults are those of the published OC20 models.

    ``preset`` may be given among the inputs: its values are filled in before the other fields override them.
    """

    num_layers: int = Field(8, ge=1)
    lmax: int = Field(4, ge=1, le=11)
    mmax: int = Field(2, ge=0)
    channels: int = Field(128, ge=1)
    hidden_channels: int = Field(64, ge=1, description="channels inside the attention, H")
    num_heads: int = Field(8, ge=1)
    alpha_channels: int = Field(64, ge=1, description="logit features per head, A")
    value_channels: int = Field(16, ge=1, description="value channels per head, V")
    ffn_channels: int = Field(128, ge=1, description="channels inside the feed-forward network, F")
    edge_channels: int = Field(128, ge=1, description="width of element embeddings and radial functions")
    cutoff: float = Field(12.0, gt=0, description="Å")
    max_neighbors: int | None = Field(20, ge=1, description="nearest sources kept per target; None keeps all (smooth)")
    max_neighbors_strict: bool = Field(
        True, description="false: those at the distance of the first one beyond max_neighbors are kept, too"
    )
    radial_basis: Literal["gaussian", "bessel"] = "gaussian"
    num_radial: int = Field(600, ge=1)
    radial_weights: Literal["order", "degree"] = Field(
        "order", description="order: per (l, |m|) after rotation (V2); degree: per l before rotation (V3)"
    )
    message_channels: int | None = Field(
        None, ge=1, description="channels that node features are mapped to before they meet on an edge; None: no map"
    )
    merge: Literal["concat", "add"] = Field("concat", description="how source and target features meet on an edge")
    edge_elements: Literal["separate", "shared", "none"] = Field(
        "separate", description="element embeddings in radial functions: each its own, one pair for all, or none"
    )
    edge_activation: Literal["separable_s2", "s2", "gate", "swiglu_s2"] = "separable_s2"
    feed_forward: Literal["grid_mlp", "joint_grid_mlp", "separable_s2", "s2", "gate", "product"] = Field(
        "grid_mlp", description="product: V3; the others V2, 'joint' and 's2' take l = 0 from the grid as well"
    )
    norm: Literal["layer_norm_sh", "layer_norm", "merged", "none"] = Field(
        "layer_norm_sh", description="merged: V3, called rms_norm_sh in V2; none: see docs/training.md"
    )
    radial_norm: bool = Field(True, description="layer norms inside the radial functions")
    attention: Literal["softmax", "envelope", "none"] = Field(
        "softmax", description="none: every message counts by the envelope alone, as in eSEN"
    )
    attention_norm: bool = Field(True, description="layer norm on the logit features of each head")
    parity: bool = Field(False, description="O(3): features of natural parity, energies of mirror images agree")
    rescale_orders: bool = Field(True, description="restore the variance of degrees above mmax when rotating back")
    grid_resolution: int | Literal["minimal"] | None = Field(
        18, description="equiangular points per axis; minimal: V2's own choice from lmax and mmax; None: exact grid"
    )
    max_num_elements: int | None = Field(90, ge=1, description="embedding rows by atomic number; None: known species")
    avg_degree: float = Field(23.395238876342773, gt=0)
    alpha_dropout: float = Field(0.1, ge=0, lt=1)
    drop_path: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "preset" not in values:
            return values
        values = dict(values)
        name = values.pop("preset")
        if name not in PRESETS:
            raise ValueError(unknown("preset", name, PRESETS))
        return {**PRESETS[name], **values}

    @model_validator(mode="after")
    def _check(self) -> "EquiformerConfig":
        if self.mmax > self.lmax:
            raise ValueError(f"mmax = {self.mmax} exceeds lmax = {self.lmax}")
        if self.merge == "add" and self.radial_weights != "degree":
            raise ValueError("merge 'add' needs radial_weights 'degree': source and target are summed before rotation")
        points = self.grid_resolution
        if isinstance(points, int) and (points % 2 or points < 2 * (self.lmax + 1)):
            raise ValueError(f"grid_resolution must be even and at least 2(lmax + 1) = {2 * (self.lmax + 1)}")
        return self

    @property
    def num_edge_inputs(self) -> int:
        """Width of what radial functions read."""
        return self.num_radial + (0 if self.edge_elements == "none" else 2 * self.edge_channels)

    @property
    def scalars_read_scalars(self) -> bool:
        """Whether the l = 0 output of a feed-forward network depends on its l = 0 input only."""
        return self.feed_forward in ("grid_mlp", "separable_s2", "gate")

    @property
    def smooth(self) -> bool:
        """Whether the model is continuous in the positions with two derivatives: safe for dynamics."""
        return self.attention != "softmax" and self.max_neighbors is None
