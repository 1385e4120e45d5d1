"""How jump models are exported, tested and opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mlff.artifacts.errors import ArtifactError
from mlff.equijump.artifact.cases import make_cases
from mlff.equijump.artifact.loaded import LoadedJump
from mlff.equijump.artifact.metadata import JumpMetadata
from mlff.equijump.artifact.self_test import JumpSelfTest, make_jump_self_test
from mlff.equijump.model import JumpModel
from mlff.proteins import TensorCloud


class JumpKind:
    """See :class:`mlff.artifacts.ModelKind`."""

    metadata = JumpMetadata
    self_test = JumpSelfTest
    loaded = LoadedJump
    methods: Sequence[str] = ("num_noises",)
    of_data: Sequence[str] = ("residues", "sequences", "conditions", "geometry", "invalid_share")

    def facts(self, model: nn.Module) -> dict[str, Any]:
        """Lag times, sampler and architecture."""
        jump = _checked(model)
        return {
            "lag_times": list(jump.lag_times),
            "steps": jump.steps,
            "transport": jump.config.transport.kind,
            "architecture": jump.config.model_dump(mode="json"),
        }

    def make_self_test(self, model: nn.Module, metadata: JumpMetadata, examples: Sequence[TensorCloud]) -> JumpSelfTest:
        """Small clouds of the model's residues, then frames [N] of the caller, with a jump each."""
        jump = _checked(model)
        given = make_cases(
            metadata.residues,
            metadata.lag_times,
            lambda steps: jump.num_noises(jump.steps if steps is None else steps),
            [cloud.to("cpu", torch.float64) for cloud in examples],
        )
        return make_jump_self_test(jump, given)


def _checked(model: nn.Module) -> JumpModel:
    if not isinstance(model, JumpModel):
        raise ArtifactError(f"{type(model).__name__} cannot be exported as a jump model: it is no JumpModel")
    return model


KIND = JumpKind()
