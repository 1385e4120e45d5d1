"""Typed configuration of a training run, read from and written to YAML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlff.data import DataConfig
from mlff.potential import DensConfig, PotentialConfig
from mlff.support.files import write_text
from mlff.training.fixed_atoms import FixedAtoms

LossKind = Literal["huber", "mae", "l2"]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file and the field."""


class Section(BaseModel):
    """A part of a configuration: frozen, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunConfig(Section):
    """A configuration of a whole run."""

    def resolved(self, base: Path) -> Self:
        """With relative paths taken from ``base``."""
        raise NotImplementedError


C = TypeVar("C", bound=RunConfig)


class OptimizerConfig(Section):
    """Muon or AdamW with linear warm-up and a cosine down to ``min_lr_fraction * lr``.

    ``muon`` takes the weights of linear maps by Muon and all else by AdamW, at the same learning rate. Weight decay
    acts on matrices only (parameters with two or more axes outside norms and biases).
    ``anneal_by: time`` lets the cosine follow the wall clock towards ``max_minutes`` when that is further ahead than
    the steps; such a run ends annealed within its time budget, but is not reproducible to the last digit.
    """

    kind: Literal["muon", "adamw"] = "muon"
    lr: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-3, ge=0)
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    warmup_steps: int | None = Field(default=None, ge=0, description="overrides warmup_fraction")
    warmup_fraction: Fraction = 0.02
    min_lr_fraction: float = Field(default=0.01, ge=0, le=1)
    anneal_by: Literal["steps", "time"] = "steps"
    clip_norm: float | None = Field(default=10.0, gt=0, description="largest norm of the gradient; null: no clipping")

    @property
    def title(self) -> str:
        """Its name as its authors write it."""
        return {"adamw": "AdamW", "muon": "Muon"}[self.kind]


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
    """Everything that defines a run; frozen and carried in the run folder and in the exported model."""

    data: DataConfig
    model: PotentialConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    loss: LossConfig = LossConfig()
    dens: DensConfig | None = Field(default=None, description="auxiliary denoising task; null: none")
    ema: Fraction = Field(default=0.999, description="decay of the averaged weights, reached after a warm-up")
    batch_size: int = Field(default=8, ge=1, description="frames per process and step")
    max_edges: int | None = Field(default=None, ge=1, description="upper bound on the edges of a batch")
    epochs: int = Field(default=100, ge=1)
    max_steps: int | None = Field(default=None, ge=1, description="stops, and ends the schedule, at this step")
    max_minutes: float | None = Field(default=None, gt=0, description="stops after this wall time, resumes included")
    validate_every: int = Field(default=1, ge=1, description="epochs between validations")
    save_every_minutes: float = Field(default=5.0, gt=0, description="minutes between saved states")
    log_every: int = Field(default=20, ge=1, description="steps between rows of training losses")
    seed: int = Field(default=0, ge=0, lt=2**31)
    dtype: Literal["float32", "float64"] = "float32"
    compile: bool = Field(
        default=False,
        description="compile the training step of full batches: minutes at the start, then faster steps; needs a "
        "C++ compiler and a model without dropout",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of torch")
    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    num_nodes: int = Field(default=1, ge=1)
    init_from: Path | None = Field(
        default=None,
        description="run folder, weights file or exported model to start from; the command line takes names of shipped "
        "models too",
    )
    reference_energies: Literal["refit", "keep"] = Field(
        default="refit",
        description="with init_from: shift the reference energies of the initial weights to the energies of the "
        "training frames (their zero may be another one), or keep them",
    )
    output: Path = Path("run")

    @field_validator("devices")
    @classmethod
    def _some_device(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError(f"must be at least 1, or auto; got {value}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        if self.loss.stress_weight > 0 and not self.model.conservative:
            raise ValueError("loss.stress_weight needs model.conservative: true")
        dropout = self.model.backbone.alpha_dropout, self.model.backbone.drop_path
        if self.compile and any(dropout):
            raise ValueError("compile: true needs model.backbone.alpha_dropout and drop_path of 0")
        if self.optimizer.anneal_by == "time" and self.max_minutes is None:
            raise ValueError("optimizer.anneal_by: time needs max_minutes")
        return self

    def resolved(self, base: Path) -> Self:
        """With relative paths taken from ``base``."""
        init_from = None if self.init_from is None else base / self.init_from
        changes = {"data": self.data.resolved(base), "init_from": init_from, "output": base / self.output}
        return self.model_copy(update=changes)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read and check the configuration of a potential's training, see :func:`read_config`."""
    return read_config(TrainingConfig, path, overrides)


def read_config(kind: type[C], path: Path, overrides: Sequence[str] = ()) -> C:
    """Read and check a configuration.

    Args:
        kind: class of the configuration.
        path: YAML file; relative paths in it are taken from its folder.
        overrides: ``section.field=value`` items, values in YAML; they replace what the file says.

    Raises:
        ConfigError: unreadable file, bad YAML, unknown or bad field; the message names the file and each field.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected sections such as 'data:' and 'model:' at the top level")
    for item in overrides:
        _override(content, item)
    return validate_config(kind, content, source=str(path), base=path.resolve().parent)


def parse_config(content: dict[str, Any], source: str = "configuration", base: Path | None = None) -> TrainingConfig:
    """Validate a dictionary as the configuration of a potential's training, see :func:`validate_config`."""
    return validate_config(TrainingConfig, content, source, base)


def validate_config(
    kind: type[C], content: dict[str, Any], source: str = "configuration", base: Path | None = None
) -> C:
    """Validate a dictionary.

    Args:
        kind: class of the configuration.
        content: what the YAML file holds.
        source: prefix of the messages.
        base: folder that relative paths (data files, init_from, output) are taken from.

    Raises:
        ConfigError: one line per bad field.
    """
    try:
        config = kind.model_validate(content)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            field = ".".join(str(part) for part in item["loc"]) or "(whole file)"
            message = item["msg"].removeprefix("Value error, ")
            shown = "" if item["type"] in ("missing", "value_error") else f" (got {item['input']!r:.80})"
            lines.append(f"{source}: {field}: {message}{shown}")
        raise ConfigError("\n".join(lines)) from error
    return config if base is None else config.resolved(base)


def dump_config(config: RunConfig, path: Path) -> None:
    """Write the configuration as YAML, defaults included; ``read_config`` gives an equal object back."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_text(path, text)


def _override(content: dict[str, Any], item: str) -> None:
    key, separator, text = item.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {item}: expected section.field=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {item}: the value is not valid YAML: {error}") from error
    *sections, field = key.split(".")
    target = content
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {item}: {section} is not a section")
    target[field] = value
