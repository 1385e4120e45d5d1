"""The files of a run: names, whether they can be written, what kind of model they hold. Imports no torch."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mlff.support.errors import ArtifactError, ConfigError
from mlff.support.kinds import fitting, names
from mlff.support.settings import read_mapping
from mlff.training.config import RunConfig, load_config

#: Name of the file of weights in a run folder.
WEIGHTS = "weights.safetensors"


class RunFolder:
    """Names of the files of a run.

    Args:
        root: folder of the run; created when the run starts.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.metrics = self.root / "metrics.csv"
        self.state = self.root / "checkpoints" / "last.pt"
        self.weights = self.root / WEIGHTS
        self.report = self.root / "report"
        self.data_record = self.report / "data.json"
        self.results = self.report / "metrics.json"

    @classmethod
    def of(cls, source: Path) -> RunFolder:
        """The folder that is meant: a folder, or that of a weights file."""
        return cls(source if source.is_dir() else source.parent)


def kind_of(source: Path) -> str:
    """Kind of the model in a run folder or a weights file; those of earlier versions do not always say."""
    folder = RunFolder(source)
    content = read_mapping(folder.config) if source.is_dir() and folder.config.is_file() else {}
    if content.get("kind") is not None:
        return str(content["kind"])
    try:
        with safe_open(folder.weights if source.is_dir() else source, framework="np") as file:
            metadata = dict(file.metadata() or {})
    except (OSError, SafetensorError):
        metadata = {}
    return metadata.get("kind") or next((name for name in names() if name in metadata), fitting(content))


def is_trained(source: Path) -> bool:
    """Whether a path is that of a weights file, or of a folder with weights and without an exported model."""
    return source.suffix == ".safetensors" or ((source / WEIGHTS).exists() and not (source / "model.pt").exists())


def has_weights(source: Path) -> bool:
    """Whether a path to start a training from is a weights file or a run folder, and no exported model."""
    a_run = (source / WEIGHTS).exists() or (source.is_dir() and not (source / "model.pt").exists())
    return a_run or source.suffix == ".safetensors"


def weights_file(source: Path) -> Path:
    """The weights of a run folder, or the file itself; raises ArtifactError where a folder has none."""
    path = source / WEIGHTS if source.is_dir() else source
    if source.is_dir() and not path.exists():
        begun = (source / "config.yaml").is_file()
        stopped = "no weights: the run stopped before its first validation; use --resume"
        raise ArtifactError(f"{source}: {stopped if begun else f'not a run folder (no {WEIGHTS})'}")
    return path


def check_output(folder: RunFolder, resume: bool) -> None:
    """Raise ConfigError, before the data are read, if a run folder cannot be written or holds a run that is to stay."""
    existing = next(path for path in (folder.root, *folder.root.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"output: {folder.root} cannot be a run folder, because {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"output: {folder.root} cannot be written (no permission in {existing})")
    if folder.state.exists() and not resume:
        raise ConfigError(f"{folder.root} already holds a run: resume it, or choose another output folder")


def check_same_run(config: RunConfig, folder: RunFolder) -> RunConfig:
    """The configuration to continue the run in a folder with.

    Raises:
        ConfigError: it differs from that of the run in what decides the next step.
    """
    saved = load_config(folder.config, kind=config.kind)
    config = config.continuing(saved)
    old, new = _decisive(saved), _decisive(config)
    changed = [name for name in new if new[name] != old.get(name)]
    if changed:
        raise ConfigError(
            f"{folder.root}: cannot resume, because these parts of the configuration changed: {', '.join(changed)}; "
            "to start from its weights with other settings, use init_from and a new output folder"
        )
    return config


def unfinished(folder: RunFolder, reason: str) -> ConfigError:
    """What to say of a run that is to be finished first."""
    finish = shlex.join(["mlff", "train", "--resume", str(folder.root)])
    return ConfigError(f"{folder.root}: the run is not finished ({reason}); finish it with: {finish}")


def report_of(folder: RunFolder) -> dict[str, Any]:
    """The report of a run; raises ConfigError for no run folder, a run that is not finished, or a damaged report."""
    if not folder.config.is_file():
        raise ConfigError(f"{folder.root}: not a run folder (no {folder.config.name})")
    for path in (folder.weights, folder.results):
        if not path.is_file():
            raise unfinished(folder, f"no {path.relative_to(folder.root)}")
    report = read_json(folder.results)
    if not {"best_validation", "steps"} <= set(report):
        raise ConfigError(f"{folder.results}: not the report of a run")
    return report


def read_json(path: Path) -> dict[str, Any]:
    """A record of a run; raises ConfigError if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable ({error})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: damaged")
    return content


def _decisive(config: RunConfig) -> dict[str, Any]:
    """What a resumed run must not change."""
    content = config.model_dump()
    for field in config.may_change:
        *sections, name = field.split(".")
        part: Any = content
        for section in sections:
            part = part.get(section) if isinstance(part, dict) else None
        if isinstance(part, dict):
            part.pop(name, None)
    return content
