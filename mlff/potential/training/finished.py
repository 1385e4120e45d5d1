"""Reading the folder of a run that has ended with its report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlff.data import DatasetStatistics
from mlff.data.split_file import SplitFile
from mlff.potential.training.config import TrainingConfig
from mlff.support.errors import ConfigError
from mlff.training.checkpointing import finished_report
from mlff.training.config import read_config
from mlff.training.run_folder import RunFolder, read_json


@dataclass(frozen=True)
class FinishedRun:
    """A run whose report describes its weights.

    Attributes:
        folder: of the run.
        config: as used, with the paths of the machine it ran on.
        report: content of ``report/metrics.json``.
        split: frames of each part.
        statistics: of the training part.
        left_out: training frames left out for large forces.
    """

    folder: RunFolder
    config: TrainingConfig
    report: dict[str, Any]
    split: SplitFile
    statistics: DatasetStatistics
    left_out: int

    def counts(self, part: str) -> dict[str, int]:
        """Number of frames of a part by file."""
        return {name: len(indices) for name, indices in self.split.parts.get(part, {}).items()}


def read_finished_run(root: Path) -> FinishedRun:
    """Read a run folder and make sure that its report belongs to its weights.

    Raises:
        ConfigError: not a run folder, a run that is not finished or has gone on since its report, a run without test
            frames, or a damaged record; the message says which and what to do.
        ArtifactError: damaged weights or state.
    """
    folder = RunFolder(root)
    report = finished_report(folder)
    record = read_json(folder.data_record)
    try:
        split = _split(record)
        statistics = DatasetStatistics.model_validate(record["statistics"])
        left_out = int(record["left_out_for_large_forces"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{folder.data_record}: damaged ({type(error).__name__}: {error})") from error
    if not split.parts.get("test"):
        raise ConfigError(f"{root}: the run has no test frames; a published model needs test errors")
    if not {"errors", "by_element"} <= set(report):
        raise ConfigError(f"{folder.results}: not the report of a run")
    return FinishedRun(folder, read_config(TrainingConfig, folder.config), report, split, statistics, left_out)


def _split(record: dict[str, Any]) -> SplitFile:
    names = Counter(file["name"] for file in record["files"]["files"])
    shared = [name for name, count in names.items() if count > 1]
    if shared:
        raise ValueError(f"several data files are called {', '.join(shared)}; train with files of different names")
    parts: dict[str, dict[str, list[int]]] = {}
    for part, frames in record["split"].items():
        parts[part] = {}
        for frame in frames:
            parts[part].setdefault(frame["file"], []).append(frame["index"])
    hashes = {file["name"]: file["sha256"] for file in record["files"]["files"]}
    return SplitFile.model_validate({"files": hashes, "parts": parts})
