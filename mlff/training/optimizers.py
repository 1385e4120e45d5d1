"""The optimiser of a configuration, and which parameters it treats how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mlff.support.errors import ConfigError
from mlff.training.config import OptimizerConfig
from mlff.training.muon import Muon

# Fewer rows or columns are no matrix to orthogonalise: energies, gates, logits.
_SMALLEST_MATRIX = 8
_MOMENTUM = 0.95


def build_optimizer(
    module: nn.Module, settings: OptimizerConfig, linear_maps: Sequence[type[nn.Module]] = (nn.Linear,)
) -> torch.optim.Optimizer:
    """Muon, or AdamW, for all parameters of a module; ``linear_maps`` have the weights that Muon takes."""
    if settings.kind == "muon":
        groups = muon_groups(module, settings.weight_decay, linear_maps)
        return Muon(groups, lr=settings.lr, betas=settings.betas, fused=True)
    groups = parameter_groups(module, settings.weight_decay)
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, fused=True)


def is_within(name: str, part: str) -> bool:
    """Whether a tensor belongs to a part of a module, such as ``backbone`` or ``backbone.blocks.0``."""
    return f"{name}.".startswith(f"{part}.")


def freeze(module: nn.Module, parts: Sequence[str]) -> None:
    """Take the parameters of these parts out of the training.

    Raises:
        ConfigError: there is no such part, or nothing is left to train.
    """
    for part in parts:
        chosen = [own for name, own in module.named_parameters() if is_within(name, part)]
        if not chosen:
            known = ", ".join(name for name, _ in module.named_children())
            raise ConfigError(f"freeze: the model has no part {part!r}; there are {known}")
        for parameter in chosen:
            parameter.requires_grad_(False)
    if parts and not any(parameter.requires_grad for parameter in module.parameters()):
        raise ConfigError("freeze: nothing is left to train; name fewer parts")


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for the optimiser: weight decay on matrices, none on biases, norms and other vectors or scalars."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            exempt = parameter.ndim < 2 or "norm" in name.lower() or name.rsplit(".", 1)[-1].startswith("bias")
            (others if exempt else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def muon_groups(
    module: nn.Module, weight_decay: float, linear_maps: Sequence[type[nn.Module]] = (nn.Linear,)
) -> list[dict[str, Any]]:
    """Those of :func:`parameter_groups`, but the weights of linear maps are a group of their own, with ``momentum``.

    Embeddings, whose rows have gradients of their own, and maps to a few numbers stay with AdamW.
    """
    maps: list[Any] = [part.weight for part in module.modules() if isinstance(part, tuple(linear_maps))]
    matrices = {weight for weight in maps if weight.requires_grad and min(weight.shape[-2:]) >= _SMALLEST_MATRIX}
    groups = [
        group | {"params": [parameter for parameter in group["params"] if parameter not in matrices], "momentum": None}
        for group in parameter_groups(module, weight_decay)
    ]
    # in the order of the module, which saved states rely on
    ordered = [parameter for parameter in module.parameters() if parameter in matrices]
    groups.append({"params": ordered, "weight_decay": weight_decay, "momentum": _MOMENTUM})
    return [group for group in groups if group["params"]]
