"""Names of the pretrained models."""

from __future__ import annotations

import os
from pathlib import Path

from mlff.artifacts.errors import ArtifactNotFoundError

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
            listed = ", ".join(models) if models else "none (no checkpoints are installed)"
            raise ArtifactNotFoundError(f"no pretrained model or file is called {name_or_path!r}; available: {listed}")
    if path.is_dir():
        if not (path / MODEL_FILE).exists() and (path / "weights.safetensors").exists():
            raise ArtifactNotFoundError(f"{path} is a training run; make a model of it: mlff export {path} -o model.pt")
        path = path / MODEL_FILE
    if not path.is_file():
        raise ArtifactNotFoundError(f"{path}: no such file")
    return path
