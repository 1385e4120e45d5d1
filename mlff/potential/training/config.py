"""Typed configuration of the training of a potential."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from mlff.data import DataConfig
from mlff.potential.config import PotentialConfig
from mlff.potential.dens_config import DensConfig
from mlff.potential.training.fixed_atoms import FixedAtoms
from mlff.support.settings import Section
from mlff.training.config import RunConfig

LossKind = Literal["huber", "mae", "l2"]


class LossConfig(Section):
    """Kind of penalty and the weights of energy per atom (eV/atom), forces (eV/A) and stress (eV/A^3)."""

    kind: LossKind = "huber"
    huber_delta: float = Field(default=0.02, gt=0)
    energy_weight: float = Field(default=1.0, ge=0)
    forces_weight: float = Field(default=1.0, ge=0)
    stress_weight: float = Field(default=0.0, ge=0)
    fixed_atoms: FixedAtoms = Field(
        default="auto",
        description="forces on atoms under constraints, in the loss and in errors; auto: left out where a frame stores "
        "exactly 0 for all of them",
    )

    @model_validator(mode="after")
    def _some_weight(self) -> LossConfig:
        if self.energy_weight == self.forces_weight == self.stress_weight == 0:
            raise ValueError("at least one of energy_weight, forces_weight and stress_weight must be positive")
        return self


class TrainingConfig(RunConfig):
    """Everything that defines the training of a potential."""

    may_change: ClassVar[frozenset[str]] = RunConfig.may_change | {"reference_energies"}

    kind: Literal["potential"] = "potential"
    data: DataConfig
    model: PotentialConfig
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
        if self.loss.stress_weight > 0 and not self.model.conservative:
            raise ValueError("loss.stress_weight needs model.conservative: true")
        dropout = self.model.backbone.alpha_dropout, self.model.backbone.drop_path
        if self.compile and any(dropout):
            raise ValueError("compile: true needs model.backbone.alpha_dropout and drop_path of 0")
        return self

    def portable(self) -> dict[str, Any]:
        """As of every run; files by name only, without the folder of the cache."""
        content = super().portable()
        data = content["data"]
        data["cache"] = None
        for name in ("paths", "train", "val", "test"):
            data[name] = [Path(path).name for path in data[name]]
        if data["isolated_atoms"] is not None:
            data["isolated_atoms"] = Path(data["isolated_atoms"]).name
        for name, value in (data["split"] or {}).items():
            if name in ("train", "val", "test") and isinstance(value, str):
                data["split"][name] = Path(value).name
        return content
