"""Potentials, trained or exported, compared with labelled structures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field

from mlff.artifacts import load
from mlff.artifacts.devices import find_device
from mlff.data import DataKeys, DataUnits, Frame, GraphDataset, in_symbols, read_frames
from mlff.data.split_file import select_frames
from mlff.graph import AtomicGraph
from mlff.potential.domain import Domain
from mlff.potential.inputs import check_ignore, input_fault
from mlff.potential.training.about import domain_of_trained
from mlff.potential.training.batches import graph_batches
from mlff.potential.training.fixed_atoms import FixedAtoms
from mlff.potential.training.lightning_module import potential_predictor
from mlff.potential.training.metrics import Predict, predict
from mlff.potential.training.report import write_evaluation
from mlff.potential.training.trained import load_trained
from mlff.support.errors import ConfigError, DataError, InputError
from mlff.support.settings import Section, validated
from mlff.training.environment import hardware, versions
from mlff.training.run_folder import is_trained

_LOG = logging.getLogger(__name__)


class EvaluateOptions(Section):
    """How the files are labelled and where the model runs."""

    keys: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    batch_size: int = Field(default=8, ge=1)
    device: str = "cpu"
    indices: str | None = None
    fixed_atoms: FixedAtoms = "auto"
    uncertainty: bool = True
    ignore: Annotated[tuple[str, ...], AfterValidator(check_ignore)] = ()


@dataclass(frozen=True)
class _Model:
    """``about`` has the fields of a configuration or of metadata: species, cutoff, neighbours, conservative."""

    predict: Predict
    about: Any
    domain: Domain | None
    dtype: torch.dtype
    details: dict[str, str | None]


def evaluate_files(name: str, files: Sequence[Path], output: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Write parity plots and ``elements.md``, see ``mlff.training.Task.evaluate``.

    Args:
        name: run folder, weights file, exported file or pretrained name.
        files: labelled structures.
        output: folder to write.
        given: fields of :class:`EvaluateOptions`.
    """
    options = validated(EvaluateOptions, dict(given), "evaluate")
    device = find_device(options.device)
    model = _weights(Path(name), device) if is_trained(Path(name)) else _exported(name, options)
    about = model.about
    named = {name: None for name in ("energy", "forces") if name not in about.outputs} | options.keys
    keys = validated(DataKeys, named, "--key", error=InputError)
    units = validated(DataUnits, options.units, "--unit", error=InputError)
    optional = set(keys.named()) - set(options.keys)
    frames = read_frames(list(files), keys=keys, units=units, optional=optional)
    if options.indices is not None:
        frames = select_frames(frames, options.indices)
    _check_inputs(name, frames, model, options.ignore)
    names = [name for name in keys.named() if _compared(name, frames)]
    if not names:
        raise DataError(f"no frame has {' or '.join(keys.named())}", file=files[0], hint="name the labels with --key")
    missing = [quantity for quantity in names if quantity not in about.outputs]
    if missing:
        why = "its forces are direct" if missing == ["stress"] else f"it computes {', '.join(about.outputs)}"
        raise ConfigError(f"{name}: has no {' and '.join(missing)} to compare: {why}")
    limits, strict = (about.cutoff, about.max_neighbors), about.max_neighbors_strict
    dataset = GraphDataset(frames, *limits, max_neighbors_strict=strict, dtype=model.dtype)
    graphs = graph_batches(dataset, range(len(dataset)), options.batch_size, device)
    return {
        **write_evaluation(output, predict(graphs, model.predict, names, options.fixed_atoms)),
        "model": model.details,
        "files": [path.name for path in files],
        "indices": None if options.indices is None else Path(options.indices).name,
        "hardware": hardware(device),
        "versions": versions(),
    }


def _check_inputs(name: str, frames: Sequence[Frame], model: _Model, ignore: Sequence[str]) -> None:
    known = set(model.about.species)
    for frame in frames:
        if new := set(frame.atoms.numbers.tolist()) - known:
            raise frame.error(
                f"holds {in_symbols(new)}, and {name} knows only {in_symbols(known)}",
                "name the frames without it by --indices, or evaluate a model that knows it",
            )
        if fault := input_fault(frame.atoms, model.domain, name, ignore):
            raise frame.error(fault)


def _compared(name: str, frames: Sequence[Frame]) -> bool:
    """Whether a quantity can be compared: all frames have it."""
    count = sum(name in frame.labels for frame in frames)
    if count < len(frames):
        _LOG.warning("%d of %d frames have no %s, which is not compared", len(frames) - count, len(frames), name)
    return count == len(frames)


def _weights(path: Path, device: torch.device) -> _Model:
    potential, _ = load_trained(path)
    potential.to(device=device).requires_grad_(False)
    dtype = next(potential.parameters()).dtype
    predictor, domain = potential_predictor(potential), domain_of_trained(path, potential)
    return _Model(predictor, potential.config, domain, dtype, {"weights": path.name})


def _exported(name: str, options: EvaluateOptions) -> _Model:
    model = load(name, device=options.device)
    sigmas = model.sigmas if options.uncertainty else ()

    def evaluate(graph: AtomicGraph, stress: bool) -> dict[str, torch.Tensor]:
        return model.evaluate(graph, stress=stress, sigmas=sigmas)

    details = {"file": model.path.name, "sha256": model.sha256, "name": model.metadata.name}
    return _Model(evaluate, model.metadata, model.metadata.domain, model.dtype, details)
