"""Names of the pretrained models."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from mlff.artifacts.errors import ArtifactNotFoundError
from mlff.support.errors import unknown
from mlff.support.files import NOT_THERE

MODEL_FILE = "model.pt"
_PACKAGE = Path(__file__).resolve().parent.parent


def checkpoint_folders() -> list[Path]:
    """Where pretrained models lie: inside of an installed package, or next to it in a source checkout."""
    folders = [_PACKAGE / "_checkpoints"]
    if (_PACKAGE.parent / "pyproject.toml").is_file():  # next to an installed package, checkpoints/ is somebody else's
        folders.append(_PACKAGE.parent / "checkpoints")
    return [folder for folder in folders if folder.is_dir()]


def pretrained() -> dict[str, Path]:
    """Model file of every pretrained name, sorted by name."""
    found: dict[str, Path] = {}
    for folder in checkpoint_folders():
        for file in folder.glob(f"*/{MODEL_FILE}"):
            found.setdefault(file.parent.name, file)
    return dict(sorted(found.items()))


def available() -> list[str]:
    """Names of the pretrained models, for :func:`mlff.load`; :func:`mlff.models` says more about each."""
    return list(pretrained())


def resolve(name_or_path: str | os.PathLike[str]) -> Path:
    """The model file that is meant.

    A plain string is first looked up among the pretrained names. Anything else is a path: of a model file, or of a
    folder that holds a ``model.pt``.

    Raises:
        ArtifactNotFoundError: no such name, which lists the names there are, or no such file.
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, str):
        models = pretrained()
        if name_or_path in models:
            return models[name_or_path]
        if not path.exists() and path.name == name_or_path and not path.suffix:
            raise ArtifactNotFoundError(f"{NOT_THERE.format(path)}; {unknown('pretrained model', path, models)}")
    if path.is_dir():
        if not (path / MODEL_FILE).exists():
            if not (path / "weights.safetensors").exists():
                raise ArtifactNotFoundError(f"{path} holds no model: neither {MODEL_FILE} nor weights.safetensors")
            make = shlex.join(["mlff", "export", str(path), "-o", "model.pt"])
            raise ArtifactNotFoundError(f"{path} is a training run; make a model of it: {make}")
        path = path / MODEL_FILE
    if not path.is_file():
        raise ArtifactNotFoundError(NOT_THERE.format(path))
    return path
