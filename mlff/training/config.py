"""What the configurations of all trainings share; read from and written to YAML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from mlff.support.errors import ConfigError
from mlff.support.kinds import DEFAULT, find
from mlff.support.renamed import former
from mlff.support.settings import Section, read_mapping, validated, with_paths

__getattr__ = former(__name__)
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


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


class RunConfig(Section):
    """Everything that defines a run; frozen and carried in the run folder and in the exported model.

    A kind adds ``kind`` with its name as default, its own fields, and narrows ``data`` and ``model``.

    Attributes:
        may_change: fields that a resumed run may change; all others decide what its next step computes.
    """

    may_change: ClassVar[frozenset[str]] = frozenset(
        {"max_minutes", "validate_every", "save_every_minutes", "log_every", "threads", "accelerator", "output"}
        | {"init_from", "data.cache"}
    )

    kind: str
    data: Any
    model: Any
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: Fraction = Field(default=0.999, description="decay of the averaged weights, reached after a warm-up")
    batch_size: int = Field(default=8, ge=1, description="examples per process and step")
    max_minutes: float | None = Field(default=None, gt=0, description="stops after this wall time, resumes included")
    validate_every: int = Field(default=1, ge=1, description="epochs or steps between validations")
    save_every_minutes: float = Field(default=5.0, gt=0, description="minutes between saved states")
    log_every: int = Field(default=20, ge=1, description="steps between rows of training losses")
    seed: int = Field(default=0, ge=0, lt=2**31)
    dtype: Literal["float32", "float64"] = "float32"
    threads: int | None = Field(default=None, ge=1, description="CPU threads of torch")
    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    num_nodes: int = Field(default=1, ge=1)
    init_from: Path | None = Field(
        default=None,
        description="run folder, weights file or exported model to start from; the command line takes names of "
        "pretrained models too",
    )
    freeze: tuple[str, ...] = Field(default=(), description="parts of the model that keep their weights, as backbone")
    output: Path = Path("run")

    @field_validator("devices")
    @classmethod
    def _some_device(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError(f"must be at least 1, or auto; got {value}")
        return value

    @model_validator(mode="after")
    def _time_is_limited(self) -> Self:
        if self.optimizer.anneal_by == "time" and self.max_minutes is None:
            raise ValueError("optimizer.anneal_by: time needs max_minutes")
        return self

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Files and folders that the run reads; without them it cannot begin."""
        return ()

    def resolved(self, base: Path) -> Self:
        """With relative paths taken from ``base``."""
        return with_paths(self, base.joinpath)

    def continuing(self, saved: Self) -> Self:
        """This configuration as that of a run to continue: what it leaves to the data is what the run found in them."""
        return self

    def portable(self) -> dict[str, Any]:
        """As plain JSON values that can leave the machine: data and first weights by name, no run folder, no threads.

        :func:`parse_config` accepts the result; it then expects the files of the data beside the configuration.
        """
        named = with_paths(self, lambda path: Path(path.name))
        return named.model_dump(mode="json", exclude={"output", "threads"})


C = TypeVar("C", bound=RunConfig)


def load_config(path: Path, overrides: Sequence[str] = (), *, kind: str = DEFAULT) -> RunConfig:
    """Read and check the configuration of a run of any kind.

    Args:
        path: YAML file; relative paths in it are taken from its folder.
        overrides: ``section.field=value`` items, values in YAML; they replace what the file says.
        kind: where the file names none.

    Raises:
        ConfigError: unreadable file, bad YAML, unknown kind, unknown or bad field; the message names the file and each
            field.
    """
    path = Path(path)
    return parse_config(read_mapping(path, overrides=overrides), str(path), path.resolve().parent, kind=kind)


def read_config(config: type[C], path: Path, overrides: Sequence[str] = ()) -> C:
    """As :func:`load_config`, of a kind that is known by its class of configurations."""
    path = Path(path)
    return validate_config(config, read_mapping(path, overrides=overrides), str(path), path.resolve().parent)


def parse_config(
    content: dict[str, Any], source: str = "configuration", base: Path | None = None, *, kind: str = DEFAULT
) -> RunConfig:
    """Validate what a YAML file holds, see :func:`validate_config`; ``kind`` where it names none."""
    try:
        config: type[RunConfig] = find(content.get("kind", kind)).training_config
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    return validate_config(config, content, source, base)


def validate_config(
    config: type[C], content: dict[str, Any], source: str = "configuration", base: Path | None = None
) -> C:
    """Validate what a YAML file holds as a configuration of a class.

    Args:
        config: the class.
        content: fields by name.
        source: prefix of the messages.
        base: folder that relative paths are taken from; None: they stay relative.

    Raises:
        ConfigError: one line per bad field.
    """
    valid = validated(config, content, source)
    return valid if base is None else valid.resolved(base)
