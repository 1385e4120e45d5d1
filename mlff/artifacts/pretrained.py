"""The pretrained models with what matters most about each."""

from __future__ import annotations

from dataclasses import dataclass

from mlff.artifacts.container import Container
from mlff.artifacts.names import pretrained
from mlff.artifacts.payloads import read_metadata


@dataclass(frozen=True)
class PretrainedModel:
    """A row of :func:`models`.

    Attributes:
        name: for :func:`mlff.load`.
        kind: of model.
        scope: what it knows: elements, or residues.
        licence: of the model.
        accuracy: one error on held-out data, with its unit.
    """

    name: str
    kind: str
    scope: str
    licence: str
    accuracy: str


def models() -> list[PretrainedModel]:
    """The pretrained models, sorted by name. Their files are read, and nothing in them is executed."""
    rows = []
    for name, path in pretrained().items():
        metadata = read_metadata(Container(path))
        rows.append(
            PretrainedModel(name, metadata.kind, metadata.scope, metadata.licence or "not stated", metadata.accuracy)
        )
    return rows
