"""The kinds of payload of a model file; another one, such as an AOTInductor package, joins ``READERS`` here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import torch
from torch import nn

from mlff.artifacts.container import METADATA, NOT_A_MODEL, Container
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.metadata import Metadata, parse_metadata
from mlff.artifacts.operators import Effect
from mlff.artifacts.torchscript import TorchScriptPayload


class PayloadReader(Protocol):
    """What the loader needs of a kind of payload."""

    name: str

    def recognizes(self, container: Container) -> bool:
        """Whether the members of the archive are of this kind; must not run anything."""

    def read(self, container: Container, device: torch.device | str, allowed: Mapping[str, Effect]) -> nn.Module:
        """The network as it was written; ArtifactError if it cannot be read or may do more than compute.

        Args:
            allowed: operators that it may use.
        """

    def load(
        self,
        container: Container,
        device: torch.device,
        dtype: torch.dtype,
        methods: Sequence[str],
        allowed: Mapping[str, Effect],
    ) -> nn.Module:
        """The network, ready to be called; ArtifactError as for :meth:`read`.

        Args:
            methods: what it has beside ``forward``.
            allowed: operators that it may use.
        """


READERS: Mapping[str, PayloadReader] = MappingProxyType({reader.name: reader for reader in (TorchScriptPayload(),)})


def read_metadata(container: Container) -> Metadata:
    """Metadata of an archive, after making sure that it is of a known kind. Nothing of the archive is executed.

    Raises:
        ArtifactError: a file of ``torch.save`` or of another program, missing or wrong metadata, a newer schema.
    """
    if not any(reader.recognizes(container) for reader in READERS.values()):
        if "data.pkl" in container.members:
            raise ArtifactError(
                f"{container.path}: written by torch.save (a pickle), not by mlff.export; it was not opened, "
                "since pickles can run any code"
            )
        raise ArtifactError(f"{container.path}: {NOT_A_MODEL}")
    metadata = parse_metadata(container.read_text(METADATA), str(container.path))
    reader = READERS.get(metadata.payload)
    if reader is None:
        raise ArtifactError(
            f"{container.path}: unknown payload {metadata.payload!r}; this mlff reads {sorted(READERS)}; update mlff"
        )
    if not reader.recognizes(container):
        raise ArtifactError(
            f"{container.path}: the metadata says {metadata.payload!r}, but the archive is something else"
        )
    return metadata
