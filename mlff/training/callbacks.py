"""The keeper of a potential's training: validation on labelled frames."""

from __future__ import annotations

import json
from typing import Any

import lightning
import torch

from mlff.support.signals import StopRequest
from mlff.training.batches import GraphSource, graph_batches
from mlff.training.config import TrainingConfig
from mlff.training.folder import RunFolder
from mlff.training.keeping import Keeper, OnStep
from mlff.training.metrics import error_sums, errors_from_sums, predict
from mlff.training.module import potential_predictor
from mlff.training.record import COLUMNS
from mlff.training.stepping import SteppedModule

_QUANTITIES = ("energy_per_atom", "forces", "stress")


class RunKeeper(Keeper):
    """Keeps the run of a potential; arguments as of :class:`Keeper`.

    Args:
        validation: labelled frames.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: TrainingConfig,
        validation: GraphSource,
        state: dict[str, Any] | None,
        stop_request: StopRequest,
        on_step: OnStep | None = None,
    ) -> None:
        super().__init__(folder, config, COLUMNS, state, stop_request, on_step)
        self._config = config
        self._validation = validation

    def validation_is_due(self, module: SteppedModule, epoch_ended: bool) -> bool:
        return epoch_ended and module.epoch % self._config.validate_every == 0

    def validate(self, trainer: lightning.Trainer, module: SteppedModule) -> dict[str, float]:
        sums = self._validation_sums(module, trainer.global_rank, trainer.world_size)
        if trainer.world_size > 1:
            sums = trainer.strategy.reduce(sums.to(module.device), reduce_op="sum").cpu()  # type: ignore[union-attr]
        known = {name: row for name, row in zip(_QUANTITIES, sums.tolist(), strict=True) if row[2]}
        errors = errors_from_sums({name: (row[0], row[1], int(row[2])) for name, row in known.items()})
        loss = self._config.loss
        weights = {"energy_per_atom": loss.energy_weight, "forces": loss.forces_weight, "stress": loss.stress_weight}
        score = sum(weight * errors.get(f"{name}_mae", 0.0) for name, weight in weights.items())
        return {"val_loss": score} | {f"val_{name}": value for name, value in errors.items()}

    def describe(self, errors: dict[str, float]) -> str:
        energy = 1e3 * errors.get("val_energy_per_atom_mae", float("nan"))
        forces = 1e3 * errors.get("val_forces_mae", float("nan"))
        return f"energy {energy:.2f} meV/atom, forces {forces:.1f} meV/A (MAE)"

    def weights_metadata(self) -> dict[str, str]:
        return {"model": self._config.model.model_dump_json(), "best": json.dumps(self.best)}

    def _validation_sums(self, module: SteppedModule, rank: int, processes: int) -> torch.Tensor:
        """[3, 3]: rows energy per atom, forces, stress; columns sum of |d|, sum of d^2, count; this process's part."""
        total = torch.zeros(len(_QUANTITIES), 3, dtype=torch.float64)
        own = range(rank, len(self._validation), processes)
        if len(own) > 0:
            graphs = graph_batches(self._validation, own, self._config.batch_size, module.device)
            stress = self._config.loss.stress_weight > 0
            predictor = potential_predictor(module.averaged.module)
            sums = error_sums(predict(graphs, predictor, stress, self._config.loss.fixed_atoms))
            for row, name in enumerate(_QUANTITIES):
                if name in sums:
                    total[row] = torch.tensor(sums[name], dtype=torch.float64)
        return total
