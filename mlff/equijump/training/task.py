"""The task of jump models: what :mod:`mlff.training` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mlff.equijump.model import JumpModel
from mlff.equijump.training.about import about_trained
from mlff.equijump.training.config import JumpTrainingConfig
from mlff.equijump.training.publication import collect
from mlff.equijump.training.run import JumpRun, prepare_run
from mlff.equijump.training.trained import load_trained_jump, read_initial_tensors, resampled
from mlff.support.errors import ConfigError
from mlff.training.task import Placement, Publication


class JumpTask:
    """Jumps between frames of trajectories; methods as of :class:`mlff.training.Task`."""

    config = JumpTrainingConfig

    def prepare(
        self,
        config: JumpTrainingConfig,
        state: Mapping[str, Any] | None,
        placement: Placement,
        initial: dict[str, Tensor] | None,
    ) -> JumpRun:
        return prepare_run(config, state, placement, initial)

    def read_initial(self, source: Path) -> dict[str, Tensor]:
        return read_initial_tensors(source)

    def load_trained(self, source: Path) -> tuple[JumpModel, dict[str, Any]]:
        return load_trained_jump(source)

    def describe(self, errors: Mapping[str, float]) -> str:
        losses = [errors.get(f"val_{name}", float("nan")) for name in ("loss", "anchors", "vectors")]
        return "loss {:.4f} (anchors {:.4f}, vectors {:.4f})".format(*losses)

    def summary(self, report: Mapping[str, Any]) -> list[str]:
        return []

    def exportable(
        self, source: Path, self_test: int, data: Sequence[Path] | None, changes: Mapping[str, Any]
    ) -> tuple[JumpModel, dict[str, Any]]:
        model, _ = load_trained_jump(source)
        return resampled(model, changes), about_trained(source, data=data, self_test=self_test)

    def evaluate(self, model: str, files: Sequence[Path], output: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        raise ConfigError(
            f"{model}: jumps have no labels to compare with; run it with `equijump rollout` and compare the trajectory "
            "with `equijump analyze`"
        )

    def publication(self, run: Path, notes: Path, name: str | None, folder: str, self_test: int) -> Publication:
        return collect(run, notes, name, folder, self_test)


TASK = JumpTask()
