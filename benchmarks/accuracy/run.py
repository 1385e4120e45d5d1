"""A run of a recipe: training, then the errors of its averaged best weights on every test set."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy.recipe import Choice, Recipe
from benchmarks.accuracy.result import Budget, Errors, Hardware, Result, Training
from mlff.data import Frame, GraphDataset, load_splits
from mlff.potential.training import TrainingConfig, load_trained
from mlff.potential.training.batches import graph_batches
from mlff.potential.training.lightning_module import potential_predictor
from mlff.potential.training.metrics import Predictions, predict
from mlff.training import RunFolder, set_up_process, train
from mlff.training.callbacks import OnStep
from mlff.training.environment import git_commit


def run(
    recipe: Recipe, choice: Choice, config: TrainingConfig, *, resume: bool = False, on_step: OnStep | None = None
) -> Result:
    """Train (or go on, or only test what is trained) and evaluate.

    Sets up the process (threads, memory) and torch's seed.

    Raises:
        what ``mlff.training.train`` raises.
    """
    set_up_process(choice.threads)
    commit = git_commit()
    report = train(config, resume=resume, on_step=on_step).report
    if report is None:
        raise RuntimeError("a recipe runs in one process; config.devices and num_nodes must be 1")
    commits = [c for c in (commit, *(part["git_commit"] for part in report["parts"])) if c is not None]
    begun = any(part["step"] == 0 for part in report["parts"])  # not so where an earlier version did
    device = torch.device("cuda" if _on_gpu(config) else "cpu")
    record = json.loads(RunFolder(config.output).data_record.read_text(encoding="utf-8"))
    return Result(
        recipe=recipe.name,
        molecule=choice.molecule,
        dens=config.dens is not None,
        seed=config.seed,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=None if commit is None else commit.removesuffix("-dirty"),
        clean=None if commit is None or not begun else not any(c.endswith("-dirty") for c in commits),
        hardware=Hardware(
            machine=report["hardware"],
            gpu=torch.cuda.get_device_name() if device.type == "cuda" else None,
            threads=report["threads"],
        ),
        versions=report["versions"],
        budget=_budget(recipe, choice, report["epochs"]),
        training=Training(
            steps=report["steps"],
            wall_minutes=report["wall_time_minutes"],
            parameters=report["parameters"],
            best_validation=report["best_validation"],
        ),
        parts=report["parts"],
        tests=evaluate(recipe, choice, config, device),
        data={file["name"]: file["sha256"] for file in record["files"]["files"]},
        config=config.portable(),
    )


def evaluate(
    recipe: Recipe, choice: Choice, config: TrainingConfig, device: torch.device | str = "cpu"
) -> dict[str, Errors]:
    """Errors of the weights in ``config.output`` by test set."""
    sets = _test_sets(recipe, choice, config)
    return {name: errors_of(predictions(config, frames, device)) for name, frames in sets.items()}


def predictions(config: TrainingConfig, frames: Sequence[Frame], device: torch.device | str = "cpu") -> Predictions:
    """Of the weights in ``config.output`` for labelled frames."""
    potential, _ = load_trained(config.output)
    potential.to(device=device).requires_grad_(False)
    dtype = next(potential.parameters()).dtype
    limits, strict = (config.model.cutoff, config.model.max_neighbors), config.model.max_neighbors_strict
    dataset = GraphDataset(frames, *limits, max_neighbors_strict=strict, dtype=dtype)
    graphs = graph_batches(dataset, range(len(dataset)), config.batch_size, device)
    return predict(graphs, potential_predictor(potential), ("energy", "forces"), config.loss.fixed_atoms)


def errors_of(predictions: Predictions) -> Errors:
    """Errors in meV, meV/atom and meV/Å; raises ValueError where labels are missing."""
    missing = {"energy", "forces"} - set(predictions.values)
    if missing:
        raise ValueError(f"the test structures have no {' and no '.join(sorted(missing))}")
    energy = np.subtract(*reversed(predictions.values["energy"]))
    forces = np.subtract(*reversed(predictions.compared("forces")))
    per_atom = energy / predictions.num_atoms
    return Errors(
        structures=len(energy),
        atoms=len(predictions.numbers),
        energy_mae=_mae(energy),
        energy_rmse=_rmse(energy),
        energy_per_atom_mae=_mae(per_atom),
        energy_per_atom_rmse=_rmse(per_atom),
        forces_mae=_mae(forces),
        forces_rmse=_rmse(forces),
    )


def _test_sets(recipe: Recipe, choice: Choice, config: TrainingConfig) -> dict[str, list[Frame]]:
    frames = load_splits(config.data).test
    if not recipe.tests:
        return {"test": frames}
    files = recipe.files_of_tests(choice.molecule)
    return {name: [frame for frame in frames if frame.source.name == file] for name, file in files.items()}


def _budget(recipe: Recipe, choice: Choice, epochs: int) -> Budget:
    full = recipe.training["epochs"]
    return Budget(
        kind="full" if epochs >= full else "reduced",
        epochs=epochs,
        epochs_of_recipe=full,
        max_minutes=choice.minutes,
        max_epochs=choice.epochs,
    )


def _on_gpu(config: TrainingConfig) -> bool:
    return config.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def _mae(difference: NDArray[Any]) -> float:
    return 1e3 * float(np.abs(difference).mean())


def _rmse(difference: NDArray[Any]) -> float:
    return 1e3 * float(np.sqrt(np.square(difference).mean()))
