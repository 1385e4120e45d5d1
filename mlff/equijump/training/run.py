"""A training run of a jump model: its data, model, batches, validation and report."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mlff.artifacts.torchscript import convert_parameters
from mlff.equijump.config import JumpConfig
from mlff.equijump.model import JumpModel
from mlff.equijump.training.config import JumpTrainingConfig
from mlff.equijump.training.lightning_module import JumpModule, validation_losses
from mlff.support.errors import ConfigError
from mlff.training.checkpointing import load_matching
from mlff.training.plots import Curve, learning_curve
from mlff.training.run_folder import RunFolder
from mlff.training.task import Placement, TrainingRun
from mlff.trajectories import (
    DataError,
    JumpBatch,
    PairSampler,
    SystemData,
    displacement,
    fingerprint,
    fixed_pairs,
    load_dataset,
    make_batch,
    provenance,
)

logger = logging.getLogger(__name__)

_VALIDATION_SEED = 2_000_000


@dataclass
class JumpRun(TrainingRun):
    """A training run of a jump model.

    Attributes:
        config: of the run.
        systems: the trajectories.
        data: fingerprint of these.
        training_data: what the weights say about these.
        module: the model in training.
        placement: of this process.
    """

    config: JumpTrainingConfig
    systems: tuple[SystemData, ...]
    data: str
    training_data: Sequence[Mapping[str, Any]]
    module: JumpModule
    placement: Placement

    losses = ("loss_anchors", "loss_vectors")
    errors = ("val_anchors", "val_vectors")

    def __post_init__(self) -> None:
        self._batches = _Batches(_sampler(self.config, self.systems), self.placement.rank)
        self._validation = _validation(self.config, self.systems)

    def loader(self) -> DataLoader[Any]:
        remaining = range(self.module.step, self.module.total_steps)
        return DataLoader(self._batches, sampler=remaining, batch_size=None, num_workers=self.config.workers)

    def validation_is_due(self, epoch_ended: bool) -> bool:
        return self.module.step % self.config.validate_every == 0

    def validate(self, model: nn.Module) -> dict[str, float]:
        if not isinstance(model, JumpModel):
            raise TypeError(f"expected the averages of a JumpModel, got {type(model).__name__}")
        device = self.placement.device
        batches = [self.module.transfer_batch_to_device(batch, device, 0) for batch in self._validation]
        anchors, vectors = validation_losses(model, batches, _VALIDATION_SEED).tolist()
        return {"val_loss": 0.5 * (anchors + vectors), "val_anchors": anchors, "val_vectors": vectors}

    def describe(self) -> str:
        noise = self.module.model.config.transport
        return (
            f"{len(self.training_data)} systems to train on, {_frames(self.training_data)} frames; noise "
            f"{noise.position_noise:.3f} Å (anchors), {noise.vector_noise:.3f} Å (vectors); "
        )

    def facts(self) -> dict[str, str]:
        return {"model": self.module.model.config.model_dump_json(), "data": self.data}

    def weights_metadata(self) -> dict[str, str]:
        return {
            "jump": self.module.model.config.model_dump_json(),
            "lags": json.dumps(self.config.data.lags),
            "training_data": json.dumps(self.training_data),
        }

    def report(self, folder: RunFolder, model: nn.Module) -> dict[str, Any]:
        curves = [
            Curve(f"{kind}_{part}", f"{part}, {label}", style=style, color=color)
            for color, part in (("tab:blue", "anchors"), ("tab:orange", "vectors"))
            for kind, style, label in (("loss", "-", "training"), ("val", "o-", "validation"))
        ]
        panels = {"loss (units of the noise)": curves}
        learning_curve(folder.metrics, folder.report / "learning_curve.png", panels, against=("step", "steps"))
        return {
            "systems": [system["name"] for system in self.training_data],
            "training_data": self.training_data,
            "lags_ps": list(self.config.data.lags),
        }


def prepare_run(
    config: JumpTrainingConfig,
    state: Mapping[str, Any] | None,
    placement: Placement,
    initial: Mapping[str, Tensor] | None,
) -> JumpRun:
    """Read the trajectories and build the model, see ``mlff.training.Task.prepare``.

    Of ``initial`` weights noise and steps stay those of the new run.

    Raises:
        ConfigError: the configuration does not fit the data, or the data are not those that the run began with.
        mlff.trajectories.DataError: bad trajectories, or a lag that they cannot have.
    """
    systems = load_dataset(config.data.folders)
    data = fingerprint(systems)
    if state is not None and state["data"] != data:
        raise ConfigError(
            f"{config.output}: cannot resume, because the trajectories have changed since it began; to go on with "
            "them, start a new run with init_from"
        )
    model_config = _with_noise(config, systems) if state is None else JumpConfig.model_validate_json(state["model"])
    model = JumpModel(model_config, list(config.data.lags))
    convert_parameters(model, getattr(torch, config.dtype))
    if initial is not None:
        new, unused = load_matching(model, dict(initial), config.freeze)
        if new or unused:
            logger.warning("started afresh: %s; without a place in this model: %s", new or "none", unused or "none")
    about = provenance(systems)
    steps_per_epoch = _frames(about) / (config.batch_size * placement.processes)
    module = JumpModule(model, config, config.steps, steps_per_epoch)
    return JumpRun(config, systems, data, about, module, placement)


@dataclass
class _Batches(Dataset[JumpBatch]):
    """The batch of a step."""

    sampler: PairSampler
    rank: int

    def __getitem__(self, step: int) -> JumpBatch:
        return self.sampler.batch(step, self.rank)


def _frames(training_data: Sequence[Mapping[str, Any]]) -> int:
    return sum(system["frames"] for system in training_data)


def _sampler(config: JumpTrainingConfig, systems: tuple[SystemData, ...]) -> PairSampler:
    data = config.data
    unrolls = config.unroll is not None and config.unroll.probability > 0
    return PairSampler(
        systems,
        "train",
        data.lags,
        config.batch_size,
        config.seed,
        balance=data.balance,
        num_targets=2 if unrolls else 1,
        systems_per_batch=data.systems_per_batch,
    )


def _with_noise(config: JumpTrainingConfig, systems: tuple[SystemData, ...]) -> JumpConfig:
    """The model, with the noise of its transport measured where the configuration says so."""
    if config.noise == "config":
        return config.model
    moved = displacement(systems, max(config.data.lags))
    if not min(moved) > 0:
        raise ConfigError(
            f"noise: data: the rms displacement is {moved.anchors:g} Å of anchors and {moved.vectors:g} Å of vectors; "
            "0 is no noise (a single residue has no moving anchor): give model.transport and noise: config"
        )
    changes = {"position_noise": round(moved.anchors, 4), "vector_noise": round(moved.vectors, 4)}
    return config.model.model_copy(update={"transport": config.model.transport.model_copy(update=changes)})


def _validation(config: JumpTrainingConfig, systems: tuple[SystemData, ...]) -> list[JumpBatch]:
    try:
        pairs = fixed_pairs(systems, "val", config.data.lags, config.data.validation_pairs)
    except DataError as error:
        raise ConfigError(f"data: nothing to validate with: {error}") from error
    return [make_batch(systems, indices) for indices in pairs]
