"""Typed configuration of the training of a potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mlff.data import DataConfig
from mlff.graph.quantities import QuantityName
from mlff.potential.config import PotentialConfig
from mlff.potential.dens_config import DensConfig
from mlff.potential.training.fixed_atoms import FixedAtoms
from mlff.support.settings import Section
from mlff.training.config import RunConfig

LossKind = Literal["huber", "mae", "l2"]


_DEFAULT_WEIGHTS = {"energy": 1.0, "forces": 1.0}
_FORMER_WEIGHTS = ("energy", "forces", "stress")  # were fields of their own, energy_weight and so on


class LossConfig(Section):
    """Kind of penalty and the weight of each quantity.

    ``weights`` are by name of the quantity, whose labels are compared in its unit, those of the energy per atom. Energy
    and forces weigh 1 unless they are named, everything else 0.
    """

    kind: LossKind = "huber"
    huber_delta: float = Field(default=0.02, gt=0)
    weights: dict[QuantityName, Annotated[float, Field(ge=0)]] = Field(default_factory=lambda: dict(_DEFAULT_WEIGHTS))
    fixed_atoms: FixedAtoms = Field(
        default="auto",
        description="forces on atoms under constraints, in the loss and in errors; auto: left out where a frame stores "
        "exactly 0 for all of them",
    )

    @model_validator(mode="before")
    @classmethod
    def _collect_weights(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        former = {name: values[f"{name}_weight"] for name in _FORMER_WEIGHTS if f"{name}_weight" in values}
        rest = {key: value for key, value in values.items() if key.removesuffix("_weight") not in former}
        given = values.get("weights", {})
        if not isinstance(given, dict) or set(former) & set(given):
            return values
        return {**rest, "weights": {**_DEFAULT_WEIGHTS, **former, **given}}

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if not any(weights.values()):
            raise ValueError(f"at least one weight must be positive, of {', '.join(weights)}")
        return weights

    def weight(self, name: str) -> float:
        """Of a quantity; 0 where it is not trained on."""
        return self.weights.get(name, 0.0)


class TrainingConfig(RunConfig):
    """Everything that defines the training of a potential."""

    may_change: ClassVar[frozenset[str]] = RunConfig.may_change | {"reference_energies"}

    kind: Literal["potential"] = "potential"
    data: DataConfig
    model: PotentialConfig = Field(default_factory=PotentialConfig)
    loss: LossConfig = LossConfig()
    dens: DensConfig | None = Field(default=None, description="auxiliary denoising task; null: none")
    batch_size: int = Field(default=8, ge=1, description="frames per process and step")
    max_edges: int | None = Field(default=None, ge=1, description="upper bound on the edges of a batch")
    epochs: int = Field(default=100, ge=1)
    max_steps: int | None = Field(default=None, ge=1, description="stops, and ends the schedule, at this step")
    validate_every: int = Field(default=1, ge=1, description="epochs between validations")
    compile: bool = Field(
        default=False,
        description="compile the training step of full batches: minutes at the start, then faster steps; needs a "
        "C++ compiler and a model without dropout",
    )
    reference_energies: Literal["refit", "keep"] = Field(
        default="refit",
        description="with init_from: shift the reference energies of the initial weights to the energies of the "
        "training frames (their zero may be another one), or keep them",
    )

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        if self.loss.weight("stress") > 0 and not self.model.conservative:
            raise ValueError("loss.weights.stress needs model.forces: conservative")
        keys = self.data.keys.named()
        if self.learns_energy and not self.model.energy:
            raise ValueError("model.energy is false: set loss.weights of energy, forces and stress to 0")
        if self.dens is not None and not (self.learns_energy and "forces" in keys):
            raise ValueError("dens: corrupted structures are told their forces: train on them, data.keys.forces")
        for name, weight in self.loss.weights.items():
            if weight > 0 and name not in self.model.outputs:
                raise ValueError(f"loss.weights.{name}: the model does not compute it; add it to model.properties")
            if weight > 0 and name not in keys:
                raise ValueError(f"loss.weights.{name}: name the label in the files, data.keys.{name}")
        untrained = [name for name in self.model.properties if self.loss.weight(name) == 0]
        if untrained:
            raise ValueError(f"model.properties: {untrained[0]} is not trained on; give loss.weights.{untrained[0]}")
        dropout = self.model.backbone.alpha_dropout, self.model.backbone.drop_path
        if self.compile and any(dropout):
            raise ValueError("compile: true needs model.backbone.alpha_dropout and drop_path of 0")
        return self

    @property
    def compared(self) -> tuple[str, ...]:
        """Quantities in tables of losses: energy, forces, stress, and the properties of the model."""
        return (*_FORMER_WEIGHTS, *self.model.properties)

    @property
    def learns_energy(self) -> bool:
        """Whether the energy or a derivative of it is trained on; without, the model has no energy to give."""
        return any(self.loss.weight(name) > 0 for name in _FORMER_WEIGHTS)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Those of ``compared`` that have a weight in the loss."""
        return tuple(name for name in self.compared if self.loss.weight(name) > 0)

    def continuing(self, saved: TrainingConfig) -> TrainingConfig:
        """As of every run; species, last block and energy are those of the run, unless others are asked for."""
        own, known = self.model, saved.model
        left = not own.species or set(own.species) > set(known.species)
        last_block = known.last_block if own.last_block == "auto" else own.last_block
        return self.with_model(known.species if left else own.species, last_block, own.energy and known.energy)

    def with_model(self, species: tuple[int, ...], last_block: str, energy: bool) -> TrainingConfig:
        """The same with these values of ``model``; species are atomic numbers."""
        changes = {"species": species, "last_block": last_block, "energy": energy}
        return self.model_copy(update={"model": self.model.model_copy(update=changes)})

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files of structures."""
        return self.data.files

    def portable(self) -> dict[str, Any]:
        """As of every run; without the folder of the cache."""
        content = super().portable()
        content["data"]["cache"] = None
        return content
