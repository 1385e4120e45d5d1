"""Training configurations that can leave the machine they were used on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlff.training.config import TrainingConfig
    from mlff.training.jumps.config import JumpTrainingConfig


def portable_config(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as plain JSON values: files by name only, without the folders of run and cache and the number
    of threads.

    ``parse_config`` accepts the result; it then expects the files beside the configuration.
    """
    content = config.model_dump(mode="json", exclude={"output", "threads"})
    data = content["data"]
    data["cache"] = None
    for name in ("paths", "train", "val", "test"):
        data[name] = [Path(path).name for path in data[name]]
    if data["isolated_atoms"] is not None:
        data["isolated_atoms"] = Path(data["isolated_atoms"]).name
    for name, value in (data["split"] or {}).items():
        if name in ("train", "val", "test") and isinstance(value, str):
            data["split"][name] = Path(value).name
    _first_weights_by_name(content)
    return content


def portable_jump_config(config: JumpTrainingConfig) -> dict[str, Any]:
    """The configuration as plain JSON values: data and first weights by name only, without folders of the machine."""
    content = config.model_dump(mode="json", exclude={"output", "threads"})
    content["data"]["folders"] = [Path(folder).name for folder in content["data"]["folders"]]
    _first_weights_by_name(content)
    return content


def _first_weights_by_name(content: dict[str, Any]) -> None:
    if content["init_from"] is not None:
        content["init_from"] = Path(content["init_from"]).name
