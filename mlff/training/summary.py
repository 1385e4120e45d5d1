"""The report at the end of a run."""

from __future__ import annotations

import os
from typing import Any

import lightning
import torch

from mlff.data import GraphDataset
from mlff.training.batches import graph_batches
from mlff.training.callbacks import RunKeeper
from mlff.training.config import TrainingConfig
from mlff.training.environment import git_commit, hardware, versions
from mlff.training.folder import RunFolder
from mlff.training.metrics import predict
from mlff.training.module import PotentialModule, potential_predictor
from mlff.training.report import plot_learning_curve, write_evaluation
from mlff.training.state import load_weights


def write_report(
    config: TrainingConfig,
    folder: RunFolder,
    test: GraphDataset,
    keeper: RunKeeper,
    module: PotentialModule,
    trainer: lightning.Trainer,
) -> dict[str, Any]:
    """Errors of the best averaged weights on the test part, figures, and what the run was made with.

    Without test frames the report covers the learning curve only.

    Returns:
        content of ``report/metrics.json``.
    """
    device = trainer.strategy.root_device
    model = module.averaged.module.to(device)
    tensors, _ = load_weights(folder.weights)
    model.load_state_dict(tensors)
    model.eval()
    folder.report.mkdir(parents=True, exist_ok=True)
    plot_learning_curve(folder.metrics, folder.report / "learning_curve.png")
    details: dict[str, Any] = {
        "part": "test",
        "best_validation": keeper.best,
        "steps": module.step,
        "epochs": module.position.epoch,
        "wall_time_minutes": keeper.elapsed / 60.0,
        "hardware": hardware(device),
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "parameters": sum(parameter.numel() for parameter in module.potential.parameters()),
        "seed": config.seed,
        "dtype": config.dtype,
        "versions": versions(),
        "git_commit": git_commit(),
        "parts": [part.model_dump() for part in keeper.parts],
    }
    if len(test) == 0:
        return details
    graphs = graph_batches(test, range(len(test)), config.batch_size, device)
    stress = config.loss.stress_weight > 0
    predictions = predict(graphs, potential_predictor(model), stress, config.loss.fixed_atoms)
    return write_evaluation(folder.report, predictions, details)
