"""What a kind of model must say so that its models can be exported, tested and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from torch import nn

from mlff.artifacts.loaded import Loaded
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.self_test import SelfTest


class ModelKind(Protocol):
    """The artifact part of a kind, an object that :mod:`mlff.support.kinds` names.

    A model says its kind by an attribute ``kind``; without it, it is of the default kind.

    Attributes:
        metadata: schema of ``metadata.json``.
        self_test: schema of ``self_test.json``.
        loaded: class of the opened model.
        methods: what programs have beside ``forward``.
        operators: what programs may use beside ``mlff/artifacts/operators.json``, if anything: their
            :data:`mlff.artifacts.operators.Effect` by name, such as ``{"mykind::sum": "new"}``. They must compute from
            their inputs only; strangers' files of this kind may use them.
        of_data: fields of the metadata on the training data, which whoever exports gives.
    """

    metadata: ClassVar[type[Metadata]]
    self_test: ClassVar[type[SelfTest]]
    loaded: ClassVar[type[Loaded]]
    methods: ClassVar[Sequence[str]]
    of_data: ClassVar[Sequence[str]]

    def facts(self, model: nn.Module) -> Mapping[str, Any]:
        """The fields of the metadata that the model itself determines; ArtifactError if it cannot be of this kind."""

    def make_self_test(self, model: nn.Module, metadata: Any, examples: Sequence[Any]) -> SelfTest:
        """Cases with the outputs of ``model``, which is eager, in float64 and on the CPU.

        Args:
            examples: inputs of the caller, which go last: small ones of the kind's own are quicker to fail.

        Raises:
            ArtifactError: an input that the model cannot take, or an output that is not finite; the message names it.
        """
