"""The potential of a file as a program of the native library, which computes what its TorchScript does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mlff.artifacts.self_test import Outputs, Program
from mlff.graph.graph import GraphInput
from mlff.native import NativeEvaluator, level, shared_library
from mlff.potential.config import PotentialConfig
from mlff.potential.potential import Potential, completed

NOT_BUILT = "the native library is not built here, see docs/native.md"
_log = logging.getLogger(__name__)
_told: set[str] = set()


def obstacle(config: PotentialConfig) -> str:
    """What a potential has that the native library lacks; empty: nothing."""
    c = config.backbone
    lacking = {
        "forces that are no derivatives": not config.conservative,
        "further properties": bool(config.properties) or not config.energy,
        "an energy head with a feed-forward network": config.energy_head != "mlp",
        "attention by softmax without an envelope": c.attention == "softmax",
        "radial weights per order": c.radial_weights != "degree" or c.merge != "add",
        f"edge activation {c.edge_activation}": c.edge_activation != "gate",
        f"feed-forward network {c.feed_forward}": c.feed_forward not in ("product", "gate"),
        f"norm {c.norm}": c.norm not in ("merged", "none"),
        f"lmax {c.lmax}": c.lmax > 4,
        f"{c.num_heads} heads": c.num_heads > 64,
    }
    return ", ".join(name for name, lacks in lacking.items() if lacks)


def native_program(
    architecture: Mapping[str, Any], read: nn.Module, script: Program, dtype: torch.dtype
) -> tuple[Program | None, str]:
    """The program and what it was compiled for, or None and the reason.

    Args:
        architecture: the configuration of the potential, as its file has it: anything.
        read: the TorchScript as it is in the file.
        script: the same, ready to be called; computes what the library does not.
        dtype: to compute in.
    """
    try:
        config = PotentialConfig.model_validate(dict(architecture))
    except ValidationError:
        return None, "its architecture is none of this mlff"
    lacking = obstacle(config)
    if lacking:
        return None, f"it has {lacking}"
    if shared_library() is None:
        if NOT_BUILT not in _told:
            _told.add(NOT_BUILT)
            _log.warning("models compute slower than they could: %s", NOT_BUILT)
        return None, NOT_BUILT
    tensors = read.state_dict()
    if not _fits(config, tensors):
        return None, "its tensors are not those of its architecture"
    try:
        potential = _potential(config, tensors)
    except (RuntimeError, ValueError, KeyError):
        return None, "its tensors are not those of its architecture"
    return NativeProgram(potential, script, dtype, getattr(read, "uncertainty", None)), f"compiled for {level()}"


class NativeProgram:
    """Called as :class:`mlff.potential.Potential` is; uncertainties of forces come from the TorchScript.

    Args:
        potential: with the weights.
        script: computes what the library does not.
        dtype: to compute in.
        uncertainty: of energies, called as :class:`mlff.potential.uncertainty.LastLayerUncertainty` is; None: none.
    """

    def __init__(
        self, potential: Potential, script: Program, dtype: torch.dtype, uncertainty: Program | None = None
    ) -> None:
        self.evaluator = NativeEvaluator(potential, dtype)
        self._script, self._dtype, self._uncertainty = script, dtype, uncertainty

    def __call__(
        self,
        positions: Tensor,
        numbers: Tensor,
        cell: Tensor,
        edge_index: Tensor,
        shifts: Tensor,
        batch: Tensor,
        compute_forces: bool = True,
        compute_stress: bool = False,
        compute_uncertainty: bool = False,
        compute_forces_uncertainty: bool = False,
    ) -> Outputs:
        """See :meth:`mlff.potential.Potential.forward`; ValueError: see :class:`mlff.native.NativeEvaluator`."""
        graph = GraphInput(positions, numbers, cell, edge_index, shifts, batch)
        if compute_forces_uncertainty:
            derivatives = compute_forces, compute_stress, compute_uncertainty, True
            outputs: Outputs = self._script(*graph, *derivatives)
            return outputs
        sigmas = self._uncertainty if compute_uncertainty else None
        found = self.evaluator(graph, forces=compute_forces, virial=compute_stress, features=sigmas is not None)
        outputs = {"energy": found.energy, "energies": found.energies}
        if found.forces is not None:
            outputs["forces"] = found.forces.to(self._dtype)
        if found.virial is not None:
            volume = torch.linalg.det(cell.double()).abs()[:, None, None]
            outputs["stress"] = (found.virial / volume).to(self._dtype)
        if sigmas is not None and found.features is not None:
            outputs |= sigmas(found.features, found.features[:0], graph, False)
        return outputs


def _fits(config: PotentialConfig, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a network of this size is in the tensors, so that a claim cannot make us build a larger one."""
    c, there = config.backbone, sum(tensor.numel() for tensor in tensors.values())
    degrees, message = c.lmax + 1, c.message_channels or c.channels
    heads = c.num_heads * (c.alpha_channels + c.value_channels)
    of_layer = (
        degrees * message * (degrees * c.hidden_channels + heads)
        + degrees * c.channels * (c.ffn_channels + message)
        + c.edge_channels * (c.edge_channels + c.num_radial)
    )
    return c.num_layers * of_layer <= there and len(config.species) * c.channels <= there


def _potential(config: PotentialConfig, tensors: Mapping[str, Tensor]) -> Potential:
    potential = Potential(config).eval().requires_grad_(False)
    own = potential.state_dict()
    given = completed({name: value for name, value in tensors.items() if name in own or name == "scale"})
    potential.load_state_dict(given)
    return potential
