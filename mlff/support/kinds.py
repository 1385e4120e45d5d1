"""The kinds of model, by name. Their modules are imported when they are needed.

A kind is a package with a model, an artifact part (how it is exported, tested and opened, see
:class:`mlff.artifacts.ModelKind`) and a training part (see :class:`mlff.training.Task`). Other distributions add kinds
by the entry point group ``mlff.kinds``, whose entries name a :class:`Kind`, or by :func:`register`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

from mlff.support.errors import ConfigError, unknown

DEFAULT = "potential"


@dataclass(frozen=True)
class Kind:
    """Where the parts of a kind are, each as ``module:object``, or the objects themselves.

    Attributes:
        name: as in ``kind:`` of a configuration and in the metadata of a file.
        artifact: a :class:`mlff.artifacts.ModelKind`.
        task: a :class:`mlff.training.Task`; None: models of this kind are not trained here.
        config: class of the configurations of its trainings, where it can be had without the task.
    """

    name: str
    artifact: Any
    task: Any = None
    config: Any = None

    @cached_property
    def model_kind(self) -> Any:
        """The artifact part."""
        return _imported(self.artifact)

    @cached_property
    def training_task(self) -> Any:
        """The training part.

        Raises:
            ConfigError: there is none.
        """
        if self.task is None:
            raise ConfigError(f"kind: models of kind {self.name!r} cannot be trained by this command")
        return _imported(self.task)

    @cached_property
    def training_config(self) -> Any:
        """Class of the configurations of its trainings; raises ConfigError as :attr:`training_task`."""
        return self.training_task.config if self.config is None else _imported(self.config)


def _own(name: str, package: str, config: str) -> Kind:
    return Kind(name, f"{package}.artifact:KIND", f"{package}.training:TASK", f"{package}.training:{config}")


_known = {
    "potential": _own("potential", "mlff.potential", "TrainingConfig"),
    "jump": _own("jump", "mlff.equijump", "JumpTrainingConfig"),
}


def register(kind: Kind) -> None:
    """Add a kind for this process.

    Raises:
        ValueError: another kind has that name.
    """
    if _known.setdefault(kind.name, kind) != kind:
        raise ValueError(f"there is a kind {kind.name!r} already")


def find(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    if isinstance(name, str) and name not in _known:
        for entry in entry_points(group="mlff.kinds", name=name):
            register(entry.load())
    if not isinstance(name, str) or name not in _known:
        raise ConfigError(f"kind: {unknown('kind of model', name, sorted(names()))}")
    return _known[name]


def fitting(content: Mapping[str, Any]) -> str:
    """The kind of this package whose configurations know most fields of one that names no kind; else the default."""
    trained = [kind for kind in _known.values() if kind.task is not None]
    return min(trained, key=lambda kind: len(content.keys() - kind.training_config.model_fields)).name


def names() -> list[str]:
    """Names of all kinds."""
    return list(dict.fromkeys([*_known, *entry_points(group="mlff.kinds").names]))


def _imported(path: Any) -> Any:
    return resolve_name(path) if isinstance(path, str) else path
