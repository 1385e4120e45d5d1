"""What a checkpoint of the public EquiformerV2 code holds, whatever its layout."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.imports.equiformer_v2.archive import read_archive
from mlff.imports.equiformer_v2.labels import LabelScales, read_labels
from mlff.imports.equiformer_v2.names import is_buffer, plain_name
from mlff.imports.equiformer_v2.options import PublicOptions, read_options

# Names under which versions of the public code registered this architecture (equiformer_v2s in the first eq2_83M_2M.pt,
# see fairchem issue 540) and its heads; parameters decide the rest.
_MODEL = re.compile(r"(equiformer_?v2s?|eqv2)(_\w+)?", re.IGNORECASE)
_HEAD = re.compile(r"(equiformer_?v2|eqv2)_(dens_)?(energy|force|scalar|vector|rank1)_head", re.IGNORECASE)
_SCALARS = ("energy", "scalar")  # of the kinds of heads those that give a number for each structure
# Of the fields of a model in parts, those that do not change what it computes.
_HYDRA = frozenset({"name", "backbone", "heads", "otf_graph", "pass_through_head_outputs", "freeze_backbone"})
_LINEAR = "energy_lin_ref"


@dataclass(frozen=True)
class PublicCheckpoint:
    """Content of a checkpoint in one form.

    Attributes:
        path, sha256: of the file.
        model: name of the architecture in the file.
        options: constructor arguments.
        parameters: trainable parameters by plain public name (see :func:`plain_name`), averaged where the file has
            averages.
        averaged: whether they are averages.
        labels: how energies and forces follow from outputs.
        progress: ``epoch`` and ``step`` of the training, where the file has them.
    """

    path: Path
    sha256: str
    model: str
    options: PublicOptions
    parameters: dict[str, Tensor]
    averaged: bool
    labels: LabelScales
    progress: dict[str, float]


def read_checkpoint(path: str | os.PathLike[str]) -> PublicCheckpoint:
    """Read a checkpoint file.

    Raises:
        ArtifactNotFoundError: there is no such file.
        ArtifactError: not a checkpoint of this architecture, or one that cannot be imported; see
            :func:`mlff.artifacts.import_equiformer_v2`.
    """
    content, sha256 = read_archive(path)
    where = str(path)
    config = _mapping(content, "config", where)
    model, values = _model(config, where)
    options = read_options(values, where)
    parameters, linear = _parameters(_mapping(content, "state_dict", where), where)
    # fairchem 1.x: a backbone keeps these references, but neither it nor a head adds them
    added = options.use_energy_lin_ref and not _in_parts(config.get("model"))
    averages = content.get("ema")
    averaged = averages is not None and averages != {}
    if averaged:
        parameters = _averages(averages, parameters, where)
    if bool(options.load_energy_lin_ref) != (linear is not None):
        found = "no" if linear is None else "an"
        raise ArtifactError(
            f"{where}: load_energy_lin_ref = {options.load_energy_lin_ref}, but state_dict holds {found} {_LINEAR}"
        )
    return PublicCheckpoint(
        path=Path(path),
        sha256=sha256,
        model=model,
        options=options,
        parameters=parameters,
        averaged=averaged,
        labels=read_labels(content, linear if added else None, where),
        progress={key: content[key] for key in ("epoch", "step") if isinstance(content.get(key), int | float)},
    )


def _mapping(content: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = content.get(key)
    if not isinstance(value, Mapping) or not value:
        found = ", ".join(map(str, content)) or "nothing"
        raise ArtifactError(f"{where}: no {key!r} in this checkpoint, or no dictionary; it holds: {found}")
    return value


def _in_parts(model: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a model is a backbone with heads (hydra)."""
    return isinstance(model, Mapping) and "backbone" in model


def _model(config: Mapping[str, Any], where: str) -> tuple[str, Mapping[str, Any]]:
    """Name and options of the model: apart, together, or of a backbone with heads."""
    model = config.get("model")
    name: Any
    if isinstance(model, str):
        name, options = model, config.get("model_attributes")
    elif _in_parts(model):
        unknown = sorted(set(map(str, model)) - _HYDRA)
        if unknown:
            raise ArtifactError(f"{where}: options of the model that cannot be imported: {', '.join(unknown)}")
        _check_heads(model.get("heads"), bool(model.get("pass_through_head_outputs")), where)
        options = model["backbone"]
        name = options.get("model") if isinstance(options, Mapping) else None
    elif isinstance(model, Mapping):
        name, options = model.get("name"), model
    else:
        raise ArtifactError(f"{where}: no 'model' in its config; it holds: {', '.join(map(str, config))}")
    if not isinstance(options, Mapping):
        raise ArtifactError(f"{where}: its config holds no options of the model ('model_attributes')")
    if not isinstance(name, str) or not _MODEL.fullmatch(name):
        raise ArtifactError(f"{where}: its model is {name!r}, not an equiformer_v2")
    return name, {key: value for key, value in options.items() if key not in ("model", "name")}


def _check_heads(heads: Any, passed_through: bool, where: str) -> None:
    """Refuse what is not an energy or forces; outputs go by the keys of heads, too, unless they are passed through."""
    if not isinstance(heads, Mapping):
        raise ArtifactError(f"{where}: its config holds a backbone without 'heads'")
    for key, head in heads.items():
        module = head.get("module") if isinstance(head, Mapping) else None
        found = _HEAD.fullmatch(module) if isinstance(module, str) else None
        if found is None:
            raise ArtifactError(f"{where}: head {key!r} ({module}) cannot be imported, only those of energy and forces")
        output = "energy" if found[3].lower() in _SCALARS else "forces"
        names = [head.get("output_name", output), *([] if passed_through else [key])]
        if any(name != output for name in names):
            other = next(name for name in names if name != output)
            raise ArtifactError(
                f"{where}: head {key!r} ({module}) gives {other!r}; only {output!r} can be imported from such a head"
            )
        if head.get("reduce", "sum") != "sum":
            raise ArtifactError(f"{where}: head {key!r} has reduce = {head['reduce']!r}; only 'sum' can be imported")
        unknown = sorted(set(map(str, head)) - {"module", "reduce", "output_name", "use_denoising"})
        if unknown:
            raise ArtifactError(f"{where}: options of head {key!r} that cannot be imported: {', '.join(unknown)}")


def _parameters(state: Mapping[str, Any], where: str) -> tuple[dict[str, Tensor], Tensor | None]:
    """Trainable parameters in the order of the file, and the linear reference energies."""
    parameters: dict[str, Tensor] = {}
    for name, value in state.items():
        plain = plain_name(str(name))
        if is_buffer(plain):
            continue
        if not isinstance(value, Tensor):
            raise ArtifactError(f"{where}: {name} in state_dict is a {type(value).__name__}, not a tensor")
        if plain in parameters:
            raise ArtifactError(f"{where}: state_dict holds {plain} twice, under different prefixes")
        parameters[plain] = value
    return parameters, parameters.pop(_LINEAR, None)


def _averages(averages: Any, parameters: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    values = averages.get("shadow_params") if isinstance(averages, Mapping) else None
    if not isinstance(values, list) or not all(isinstance(value, Tensor) for value in values):
        raise ArtifactError(f"{where}: 'ema' holds no list of tensors 'shadow_params'")
    if len(values) != len(parameters):
        raise ArtifactError(f"{where}: 'ema' holds {len(values)} averages for {len(parameters)} parameters")
    averaged = dict(zip(parameters, values, strict=True))
    wrong = [
        f"{name} {tuple(value.shape)}, not {tuple(parameters[name].shape)}"
        for name, value in averaged.items()
        if value.shape != parameters[name].shape
    ]
    if wrong:
        raise ArtifactError(f"{where}: averages in 'ema' of other shapes than their parameters: {'; '.join(wrong)}")
    return averaged
