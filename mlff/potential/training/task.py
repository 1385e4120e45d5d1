"""The task of potentials: what :mod:`mlff.training` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlff.graph import QUANTITIES, quantity
from mlff.potential import Potential
from mlff.potential.artifact.metadata import errors_in_words
from mlff.potential.training.about import about_trained, exported_form, splits_of
from mlff.potential.training.config import TrainingConfig
from mlff.potential.training.evaluation import evaluate_files
from mlff.potential.training.publication import collect
from mlff.potential.training.run import prepare_run
from mlff.potential.training.trained import load_trained, read_initial_weights
from mlff.support.errors import ConfigError


class PotentialTask:
    """Labelled structures; methods as of :class:`mlff.training.Task`."""

    config = TrainingConfig
    prepare = staticmethod(prepare_run)
    read_initial = staticmethod(read_initial_weights)
    load_trained = staticmethod(load_trained)
    evaluate = staticmethod(evaluate_files)
    publication = staticmethod(collect)

    def describe(self, errors: Mapping[str, float]) -> str:
        return ", ".join(errors_in_words({key.removeprefix("val_"): value for key, value in errors.items()}))

    def summary(self, report: Mapping[str, Any]) -> list[str]:
        errors, lines = report.get("errors", {}), []
        for row in QUANTITIES.values():
            if f"{row.error_key}_mae" in errors:
                factor, unit = row.error_unit
                mae, rmse = (factor * errors[f"{row.error_key}_{kind}"] for kind in ("mae", "rmse"))
                lines.append(f"{row.title}: MAE {mae:.2f}, RMSE {rmse:.2f} {unit}")
        for name, known in report.get("uncertainty", {}).items():
            lines.append(f"{quantity(name).title}: {known['covered_90']:.1%} of the errors within ± 1.645 σ (of 90 %)")
        where = "test frames" if "seed" in report else "structures"
        return [f"errors on {report['structures']} {where}:", *lines] if lines else []

    def exportable(
        self,
        source: Path,
        self_test: int,
        data: Sequence[Path] | None,
        changes: Mapping[str, Any],
        uncertainty: bool | None = None,
    ) -> tuple[Potential, dict[str, Any]]:
        if changes:
            raise ConfigError(f"--set {next(iter(changes))}: all of a potential depends on its training")
        splits = splits_of(source, data)
        if uncertainty and splits is None:
            raise ConfigError("--uncertainty: needs the training data of the run, which are not here; see --data")
        trained = load_trained(source)
        about = about_trained(source, trained, self_test, splits)
        exported = trained[0] if uncertainty is False else exported_form(trained[0], splits)
        if uncertainty and exported.uncertainty is None:
            raise ConfigError(
                "--uncertainty: needs energies of all training and validation frames, and a model of these"
            )
        return exported, about


TASK = PotentialTask()
