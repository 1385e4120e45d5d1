"""What a kind of model adds to the training engine: its task, and runs of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mlff.training.config import RunConfig
from mlff.training.lightning_module import SteppedModule
from mlff.training.run_folder import RunFolder


@dataclass(frozen=True)
class Placement:
    """Where this process of a training runs.

    Attributes:
        rank: number of this process.
        processes: number of processes.
        device: of this process.
    """

    rank: int
    processes: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes, on the CPU; all of them must call this."""
        if self.processes == 1:
            return values
        values = values.to(self.device)
        torch.distributed.all_reduce(values)
        return values.cpu()


class TrainingRun(ABC):
    """A run whose data are read and whose model is built, with its initial weights.

    Attributes:
        module: the model in training; the engine drives it.
        config: the configuration, complete now that the data are read.
        losses: columns of metrics.csv that ``module.take_interval`` gives beyond ``loss`` and ``gradient_norm``.
        errors: columns that :meth:`validate` gives beyond ``val_loss``.
    """

    module: SteppedModule
    config: RunConfig
    losses: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @abstractmethod
    def loader(self) -> DataLoader[Any]:
        """The batches of the steps that are left, ``module.total_steps - module.step``."""

    @abstractmethod
    def validation_is_due(self, epoch_ended: bool) -> bool:
        """Whether to validate after this step; the last step always does."""

    @abstractmethod
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Errors of the averaged model, for the table; ``val_loss`` is what the best weights minimise."""

    @abstractmethod
    def weights_metadata(self) -> dict[str, str]:
        """What is written beside the best weights, so that :meth:`Task.load_trained` can build the model."""

    @abstractmethod
    def report(self, folder: RunFolder, model: nn.Module) -> dict[str, Any]:
        """Write figures and tables about the best model to ``folder.report``; returns entries of ``metrics.json``."""

    def describe(self) -> str:
        """Words for the log about the data, ending in `;` and a space."""
        return ""

    def facts(self) -> dict[str, str]:
        """What else a state holds, because it was measured at the start of the run."""
        return {}

    def write_start(self, folder: RunFolder) -> None:
        """Write records of the data, once, when the run starts."""
        return


class Task(Protocol):
    """The training part of a kind; :class:`mlff.support.kinds.Kind` says where it is.

    Attributes:
        config: class of the configurations; its field ``kind`` is a literal, the name of the kind.
    """

    config: type[Any]

    def prepare(self, config: Any, state: Mapping[str, Any] | None, placement: Placement, initial: Any) -> TrainingRun:
        """Read the data and build the model.

        Args:
            config: of the class above.
            state: to continue from; the engine restores weights, this gives what :meth:`TrainingRun.facts` said.
            placement: of this process.
            initial: what :meth:`read_initial` gives, or None: random weights.

        Raises:
            ConfigError, DataError: they do not fit each other.
        """
        ...

    def read_initial(self, source: Path) -> Any:
        """Weights to start from: of a run folder, a weights file or an exported model; raises ArtifactError."""
        ...

    def load_trained(self, source: Path) -> tuple[nn.Module, dict[str, Any]]:
        """The model with the averaged weights of a run folder or a weights file, in evaluation mode, and its metadata.

        Raises:
            ConfigError: the file does not describe a model of this kind.
            ArtifactError: the weights are missing or damaged.
        """
        ...

    def describe(self, errors: Mapping[str, float]) -> str:
        """Words for the log about the errors of a validation, those of :meth:`TrainingRun.validate`."""
        ...

    def summary(self, report: Mapping[str, Any]) -> list[str]:
        """Lines for the console about a report, of a run or of an evaluation."""
        ...

    def exportable(
        self,
        source: Path,
        self_test: int,
        data: Sequence[Path] | None,
        changes: Mapping[str, Any],
        uncertainty: bool | None = None,
    ) -> tuple[nn.Module, dict[str, Any]]:
        """The trained model of a run folder or a weights file, and the keyword arguments of its export.

        Args:
            source: of the weights.
            self_test: how many inputs of the data are kept for the self-test of the file.
            data: of the run, where they have moved.
            changes: fields of the model's configuration that do not depend on the training, by dotted name.
            uncertainty: the model computes how uncertain it is; None: where kind and data allow it.

        Raises:
            ConfigError: a field that cannot be changed, an uncertainty that the kind or the data do not allow.
        """
        ...

    def evaluate(self, model: str, files: Sequence[Path], output: Path, options: Any) -> dict[str, Any]:
        """Compare a model with data, write figures and tables; returns what ``metrics.json`` beside them is to hold."""
        ...

    def publication(self, run: Path, notes: Path, name: str | None, folder: str, self_test: int) -> Publication:
        """Collect what a published model consists of; raises ConfigError for a run that is not finished."""
        ...


@dataclass(frozen=True)
class Publication:
    """The folder of a published model, but for what every kind has: weights, figures, table of metrics.

    Attributes:
        card: Markdown; the figures are in ``report/``.
        config: portable configuration.
        export: writes the model to a path.
        files: further text files by name.
    """

    card: str
    config: dict[str, Any]
    export: Callable[[Path], object]
    files: Mapping[str, str]
