"""Typed configuration of a potential."""

from typing import Any, Literal

from ase.data import chemical_symbols
from pydantic import Field, field_serializer, field_validator, model_validator

from mlff.equiformer import EquiformerConfig
from mlff.graph import quantity
from mlff.support.errors import unknown
from mlff.support.settings import Section

#: Of the published EquiformerV2 models.
PUBLISHED_HEADS = {"energy_head": "feed_forward", "avg_num_atoms": 77.81317}
_ENERGIES = ("energy", "energies")


class PotentialConfig(Section):
    """A backbone, the elements it knows, and how forces are made.

    ``species`` takes atomic numbers or chemical symbols and is kept as sorted atomic numbers; ``auto``, the default, is
    kept as none until a training has read its data. ``backbone`` fields that are not given are those of ``preset``, by
    default ``smooth``.
    """

    species: tuple[int, ...] = Field(default=(), description="auto: those of the training part of the data")
    forces: Literal["conservative", "direct"] = "conservative"
    repulsion: Literal["none", "zbl"] = Field(
        default="none", description="zbl: screened nuclear repulsion between atoms closer than their covalent radii"
    )
    properties: tuple[str, ...] = Field(
        default=(), description="further quantities that are read from the backbone, such as dipole"
    )
    energy: bool = Field(
        default=True, description="energy and forces are outputs; trainings set false where they learn properties alone"
    )
    last_block: Literal["auto", "scalars", "whole"] = Field(
        default="auto",
        description="scalars: its l = 0 alone, which conservative energies read; whole: all degrees; auto: whole where "
        "properties are of higher degree, unless the weights of init_from hold its scalars only",
    )
    backbone: EquiformerConfig = Field(default_factory=lambda: EquiformerConfig.model_validate({"preset": "smooth"}))

    energy_head: Literal["feed_forward", "mlp"] = Field(
        default="mlp", description="read-out of the energy; the presets with published sizes: feed_forward"
    )
    avg_num_atoms: float = Field(
        default=1.0, gt=0, description="divisor of atomic energies; the presets with published sizes: 77.81317"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_heads(cls, values: object) -> object:
        """Fields of the backbone alone change the ``smooth`` preset; the published ones have to be requested.

        Heads follow the preset, and are taken from the backbone, to which earlier versions counted them.
        """
        backbone = values.get("backbone") if isinstance(values, dict) else None
        if isinstance(backbone, dict):
            backbone = {"preset": "smooth", **backbone}
            published = PUBLISHED_HEADS if backbone["preset"] != "smooth" else {}
            former = {name: backbone.pop(name) for name in PUBLISHED_HEADS if name in backbone}
            return {**published, **former, **values, "backbone": backbone}  # type: ignore[dict-item]
        if isinstance(backbone, EquiformerConfig) and backbone.attention == "softmax":
            return {**PUBLISHED_HEADS, **values}  # type: ignore[dict-item]
        return values

    @field_validator("species", mode="before")
    @classmethod
    def _numbers(cls, values: object) -> tuple[int, ...]:
        if values == "auto":
            return ()
        if not isinstance(values, list | tuple) or not values:
            raise ValueError("species must be auto, or a list of chemical symbols or atomic numbers")
        numbers = set()
        for value in values:
            if isinstance(value, str) and value in chemical_symbols[1:]:
                numbers.add(chemical_symbols.index(value))
            elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < len(chemical_symbols):
                numbers.add(value)
            else:
                raise ValueError(unknown("chemical element", value, chemical_symbols[1:]))
        return tuple(sorted(numbers))

    @field_serializer("species")
    def _as_given(self, species: tuple[int, ...]) -> Any:
        return species or "auto"

    @field_validator("properties")
    @classmethod
    def _other_quantities(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if quantity(name).gradient_of is not None or name in _ENERGIES:
                raise ValueError(f"{name} is an output of every potential")
        if len(set(names)) < len(names):
            raise ValueError(f"a property is listed twice in {list(names)}")
        return names

    @model_validator(mode="after")
    def _possible(self) -> "PotentialConfig":
        if self.repulsion != "none" and self.forces == "direct":
            raise ValueError(f"repulsion {self.repulsion!r} needs conservative forces: it is a part of the energy")
        if not (self.energy or self.properties):
            raise ValueError("energy: false leaves no output; name some properties")
        return self

    @model_validator(mode="after")
    def _energies_need_scalars(self) -> "PotentialConfig":
        if self.last_block == "scalars" and not self.energy_needs_scalars:
            raise ValueError("last_block 'scalars' needs conservative forces and an energy that reads l = 0 only")
        return self

    @property
    def conservative(self) -> bool:
        """Whether forces are the gradient of the energy."""
        return self.forces == "conservative"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the quantities that the potential computes."""
        of_energy = ("energy", "energies", "forces", *(("stress",) if self.conservative else ()))
        return (*(of_energy if self.energy else ()), *self.properties)

    @property
    def energy_needs_scalars(self) -> bool:
        """Whether energy and forces need l = 0 alone: forces are conservative, and the energy head reads no other."""
        return self.conservative and (self.energy_head == "mlp" or self.backbone.scalars_read_scalars)

    @property
    def cutoff(self) -> float:
        """Å."""
        return self.backbone.cutoff

    @property
    def receptive_field(self) -> float:
        """Å; farther atoms do not change the energy of an atom: one cutoff for each layer and one for the embedding."""
        return (self.backbone.num_layers + 1) * self.cutoff

    @property
    def max_neighbors(self) -> int | None:
        """Nearest sources kept per target; None keeps all within the cutoff."""
        return self.backbone.max_neighbors

    @property
    def max_neighbors_strict(self) -> bool:
        """Whether not one neighbour more is kept, see :func:`mlff.graph.neighbor_list`."""
        return self.backbone.max_neighbors_strict
