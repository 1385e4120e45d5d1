"""How public checkpoints say what was done to the labels they were trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlff.artifacts.errors import ArtifactError

_MOST_ELEMENTS = 1000  # entries of a table by atomic number
_TARGETS = {"target": "energy", "energy": "energy", "grad_target": "forces", "forces": "forces"}
_NOISE = "denoising_pos_target"  # of the trainers with DeNS: scale of the noise, in which the noise head predicts


@dataclass(frozen=True)
class LabelScales:
    """From outputs of the network to energies and forces.

    Attributes:
        mean, std: E = std · raw + mean in eV, for each structure.
        force_std: F = force_std · raw in eV/Å.
        references: [any length, float64] eV by atomic number, added to E for each atom; 0 beyond the last.
    """

    mean: float
    std: float
    force_std: float
    references: Tensor


def read_labels(content: Mapping[str, Any], linear: Tensor | None, where: str) -> LabelScales:
    """Scales from ``normalizers`` and ``elementrefs`` of a checkpoint, each of which may be absent.

    Labels that ``config`` says were normalised must have their normalizer.

    Args:
        content: of the checkpoint.
        linear: [Z] energies in units of ``std`` that the model itself adds for each atom (OC22).
        where: the file, for messages.

    Raises:
        ArtifactError: fields that are unknown, missing or not finite.
    """
    scales = _normalizers(content.get("normalizers"), where)
    lost = sorted(_normalized(content["config"].get("dataset")) - set(scales))
    if lost:
        raise ArtifactError(
            f"{where}: its config says that {' and '.join(lost)} were normalised, but 'normalizers' does not say how"
        )
    mean, std = scales.get("energy", (0.0, 1.0))
    force_mean, force_std = scales.get("forces", (0.0, 1.0))
    if force_mean != 0.0:
        raise ArtifactError(f"{where}: the normaliser of the forces has the mean {force_mean}; only 0 can be imported")
    terms = [_references(content.get("elementrefs"), where)]
    if linear is not None:
        terms.append(std * _energies(linear, "energy_lin_ref", where))
    references = torch.zeros(max(map(len, terms)), dtype=torch.float64)
    for term in terms:
        references[: len(term)] += term
    return LabelScales(mean, std, force_std, references)


def _normalizers(normalizers: Any, where: str) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of ``energy`` and ``forces``."""
    if normalizers is None:
        return {}
    if not isinstance(normalizers, Mapping):
        raise ArtifactError(f"{where}: 'normalizers' is a {type(normalizers).__name__}, not a dictionary")
    scales: dict[str, tuple[float, float]] = {}
    for key, value in normalizers.items():
        target = _NOISE if key == _NOISE else _TARGETS.get(key)
        if target is None or target in scales:
            raise ArtifactError(
                f"{where}: normalizers of {list(normalizers)}; only one of energy and one of forces work"
            )
        fields = dict(value) if isinstance(value, Mapping) else {}
        mean, std = _number(fields.pop("mean", None)), _number(fields.pop("rmsd" if "rmsd" in fields else "std", None))
        if fields or mean is None or std is None or std <= 0.0:
            raise ArtifactError(f"{where}: normalizer {key!r} must hold a 'mean' and a positive 'std' (or 'rmsd')")
        scales[target] = (mean, std)
    return scales


def _normalized(dataset: Any) -> set[str]:
    """Which of ``energy`` and ``forces`` the options of the training data say were normalised, in either spelling."""
    found: set[str] = set()
    for options in dataset if isinstance(dataset, list) else [dataset]:
        train = options.get("train", options) if isinstance(options, Mapping) else None
        if not isinstance(train, Mapping):
            continue
        if train.get("normalize_labels"):
            found |= {_TARGETS[key] for key in ("target", "grad_target") if f"{key}_std" in train}
        transforms = train.get("transforms")
        named = transforms.get("normalizer") if isinstance(transforms, Mapping) else None
        found |= {_TARGETS[key] for key in named if key in _TARGETS} if isinstance(named, Mapping) else set()
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor) and value.numel() == 1 and _is_plain(value):
        value = value.item()
    plain = isinstance(value, int | float | np.integer | np.floating)
    return float(value) if plain and math.isfinite(value) else None


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor holds its numbers, and real ones: neither sparse nor without data."""
    return value.layout == torch.strided and not value.is_meta and not value.is_complex()


def _references(elementrefs: Any, where: str) -> Tensor:
    """[Z] energies in eV by atomic number; empty without any."""
    if elementrefs is None:
        return torch.zeros(0, dtype=torch.float64)
    if not isinstance(elementrefs, Mapping):
        raise ArtifactError(f"{where}: 'elementrefs' is a {type(elementrefs).__name__}, not a dictionary")
    if not elementrefs:
        return torch.zeros(0, dtype=torch.float64)
    if [_TARGETS.get(key) for key in elementrefs] != ["energy"]:
        raise ArtifactError(f"{where}: elementrefs of {list(elementrefs)}; only those of the energy work")
    (value,) = elementrefs.values()
    return _energies(value.get("element_references") if isinstance(value, Mapping) else value, "elementrefs", where)


def _energies(value: Any, name: str, where: str) -> Tensor:
    plain = isinstance(value, Tensor) and _is_plain(value) and value.numel() <= _MOST_ELEMENTS
    if not plain or not bool(torch.isfinite(value).all()):
        raise ArtifactError(f"{where}: {name} must hold finite energies, one for each element")
    energies: Tensor = value.to(torch.float64).flatten()
    return energies
