"""The keeper of a jump model's training: validation on held-out trajectories."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import lightning

from mlff.equijump.model import JumpConfig
from mlff.support.signals import StopRequest
from mlff.training.folder import RunFolder
from mlff.training.jumps.config import JumpTrainingConfig
from mlff.training.jumps.module import averaged_model, validation_losses
from mlff.training.keeping import Keeper, OnStep
from mlff.training.stepping import SteppedModule
from mlff.trajectories import JumpBatch

COLUMNS = (
    *("step", "epoch", "minutes", "lr", "loss", "loss_anchors", "loss_vectors", "gradient_norm", "frames_per_second"),
    *("val_loss", "val_anchors", "val_vectors"),
)
_VALIDATION_SEED = 2_000_000


class JumpKeeper(Keeper):
    """Keeps the run of a jump model; arguments as of :class:`Keeper`.

    Args:
        model: configuration of the model, with the noise that the run uses.
        data: fingerprint of the trajectories.
        training_data: what the weights say about these.
        validation: fixed batches of jumps.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: JumpTrainingConfig,
        model: JumpConfig,
        data: str,
        training_data: Sequence[Mapping[str, Any]],
        validation: Sequence[JumpBatch],
        state: dict[str, Any] | None,
        stop_request: StopRequest,
        on_step: OnStep | None = None,
    ) -> None:
        super().__init__(folder, config, COLUMNS, state, stop_request, on_step)
        self._config = config
        self._model = model
        self._data = data
        self._training_data = list(training_data)
        self._validation = validation

    def validation_is_due(self, module: SteppedModule, epoch_ended: bool) -> bool:
        return module.step % self._config.validate_every == 0

    def validate(self, trainer: lightning.Trainer, module: SteppedModule) -> dict[str, float]:
        batches = [module.transfer_batch_to_device(batch, module.device, 0) for batch in self._validation]
        anchors, vectors = validation_losses(averaged_model(module), batches, _VALIDATION_SEED).tolist()
        return {"val_loss": 0.5 * (anchors + vectors), "val_anchors": anchors, "val_vectors": vectors}

    def describe(self, errors: dict[str, float]) -> str:
        anchors, vectors = errors["val_anchors"], errors["val_vectors"]
        return f"loss {errors['val_loss']:.4f} (anchors {anchors:.4f}, vectors {vectors:.4f})"

    def facts(self) -> dict[str, str]:
        return {"model": self._model.model_dump_json(), "data": self._data}

    def weights_metadata(self) -> dict[str, str]:
        return {
            "jump": self._model.model_dump_json(),
            "lags": json.dumps(self._config.data.lags),
            "training_data": json.dumps(self._training_data),
            "best": json.dumps(self.best),
        }
