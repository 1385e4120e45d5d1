"""The task of jump models: what :mod:`mlff.training` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlff.equijump.model import JumpModel
from mlff.equijump.training.about import about_trained
from mlff.equijump.training.config import JumpTrainingConfig
from mlff.equijump.training.publication import collect
from mlff.equijump.training.run import prepare_run
from mlff.equijump.training.trained import load_trained_jump, read_initial_tensors, resampled
from mlff.support.errors import ConfigError


class JumpTask:
    """Jumps between frames of trajectories; methods as of :class:`mlff.training.Task`."""

    config = JumpTrainingConfig
    prepare = staticmethod(prepare_run)
    read_initial = staticmethod(read_initial_tensors)
    load_trained = staticmethod(load_trained_jump)
    publication = staticmethod(collect)

    def describe(self, errors: Mapping[str, float]) -> str:
        losses = [errors.get(f"val_{name}", float("nan")) for name in ("loss", "anchors", "vectors")]
        return "loss {:.4f} (anchors {:.4f}, vectors {:.4f})".format(*losses)

    def summary(self, report: Mapping[str, Any]) -> list[str]:
        return []

    def exportable(
        self,
        source: Path,
        self_test: int,
        data: Sequence[Path] | None,
        changes: Mapping[str, Any],
        uncertainty: bool | None = None,
    ) -> tuple[JumpModel, dict[str, Any]]:
        if uncertainty:
            raise ConfigError("--uncertainty: jump models compute none; leave it out")
        model, saved = load_trained_jump(source)
        return resampled(model, changes), about_trained(source, saved, self_test, data)

    def evaluate(self, model: str, files: Sequence[Path], output: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        raise ConfigError(
            f"{model}: jumps have no labels to compare with; run it with `equijump rollout` and compare the trajectory "
            "with `equijump analyze`"
        )


TASK = JumpTask()
