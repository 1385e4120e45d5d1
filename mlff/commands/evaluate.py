"""``mlff evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from mlff.artifacts import ArtifactError, load
from mlff.artifacts.devices import find_device
from mlff.commands.common import WRONG_INPUT, error_console, load_trained, print_errors, report_error, set_up_logging
from mlff.data import DataError, DataKeys, DataUnits, GraphDataset, read_frames
from mlff.data.split_file import select_frames
from mlff.graph import AtomicGraph
from mlff.training import ConfigError, StateError
from mlff.training.batches import graph_batches
from mlff.training.environment import hardware, versions
from mlff.training.fixed_atoms import FixedAtoms
from mlff.training.metrics import Predict, predict
from mlff.training.module import potential_predictor
from mlff.training.report import write_evaluation


@dataclass(frozen=True)
class EvaluateOptions:
    """How the files are labelled and where the model runs."""

    energy_key: str = "energy"
    forces_key: str = "forces"
    stress_key: str | None = None
    energy_unit: str | None = None
    batch_size: int = 8
    device: str = "cpu"
    threads: int | None = None
    indices: str | None = None
    fixed_atoms: FixedAtoms = "auto"


@dataclass(frozen=True)
class _Model:
    predict: Predict
    cutoff: float
    max_neighbors: int | None
    max_neighbors_strict: bool
    species: tuple[int, ...]
    dtype: torch.dtype
    conservative: bool
    details: dict[str, object]


def run_evaluate(name: str, files: list[Path], output: Path, options: EvaluateOptions) -> int:
    """Write parity plots, ``metrics.json`` and ``elements.md`` to ``output``; returns the exit status."""
    set_up_logging()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        device = find_device(options.device)
        model = _open(name, options.device)
        keys = DataKeys(energy=options.energy_key, forces=options.forces_key, stress=options.stress_key)
        units = DataUnits.model_validate({"energy": options.energy_unit})
        frames = read_frames(files, keys=keys, units=units, species=model.species)
        if options.indices is not None:
            frames = select_frames(frames, options.indices)
        if options.stress_key is not None and not model.conservative:
            raise ConfigError(f"{name}: has direct forces and therefore no stress to compare")
        limits, strict = (model.cutoff, model.max_neighbors), model.max_neighbors_strict
        dataset = GraphDataset(frames, *limits, max_neighbors_strict=strict, dtype=model.dtype)
        graphs = graph_batches(dataset, range(len(dataset)), options.batch_size, device)
        predictions = predict(graphs, model.predict, options.stress_key is not None, options.fixed_atoms)
        details = {
            "model": model.details,
            "files": [path.name for path in files],
            "indices": None if options.indices is None else Path(options.indices).name,
            "hardware": hardware(device),
            "versions": versions(),
        }
        content = write_evaluation(output, predictions, details)
    except ValidationError as error:
        report_error(ValueError("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())))
        return WRONG_INPUT
    except (ArtifactError, ConfigError, DataError, StateError, OSError) as error:
        report_error(error)
        return WRONG_INPUT
    error_console.print(f"{len(frames)} structures; figures and tables in {output}", markup=False)
    print_errors(content["errors"])
    return 0


def _open(name: str, device: str) -> _Model:
    path = Path(name)
    trained = path.suffix == ".safetensors" or (
        (path / "weights.safetensors").exists() and not (path / "model.pt").exists()
    )
    return _open_weights(path, device) if trained else _open_exported(name, device)


def _open_weights(path: Path, device: str) -> _Model:
    potential, _ = load_trained(path)
    potential.to(device=device).requires_grad_(False)
    config = potential.config
    return _Model(
        predict=potential_predictor(potential),
        cutoff=config.cutoff,
        max_neighbors=config.max_neighbors,
        max_neighbors_strict=config.max_neighbors_strict,
        species=config.species,
        dtype=next(potential.parameters()).dtype,
        conservative=config.conservative,
        details={"weights": path.name},
    )


def _open_exported(name: str, device: str) -> _Model:
    model = load(name, device=device)
    metadata = model.metadata

    def evaluate(graph: AtomicGraph, stress: bool) -> dict[str, torch.Tensor]:
        return model.evaluate(graph, stress=stress)

    return _Model(
        predict=evaluate,
        cutoff=metadata.cutoff,
        max_neighbors=metadata.max_neighbors,
        max_neighbors_strict=metadata.max_neighbors_strict,
        species=metadata.species,
        dtype=model.dtype,
        conservative=metadata.conservative,
        details={"file": model.path.name, "sha256": model.sha256, "name": metadata.name},
    )
